"""The GAN: both networks, what each minimises, and the two half-steps of a training step."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

import numpy as np
import pytorch_lightning as pl
import torch
import torch.nn.functional as F
from pytorch_lightning.core.optimizer import LightningOptimizer
from pytorch_lightning.strategies import SingleDeviceStrategy
from torch import Tensor

from facegan.errors import DivergedError
from facegan.gan.augment import augment
from facegan.gan.cuda_graphs import GraphedStep
from facegan.gan.ema import average_of, decay, update_average
from facegan.gan.latents import sample_latents
from facegan.gan.losses import LOSSES, gradient_penalty, smoothed_bce, squared_gradient_norm
from facegan.gan.settings import _check, _gp_weight, _pair, _penalties
from facegan.networks.batch_norm import evaluating, recalibrate_batch_norm
from facegan.networks.dcgan import Discriminator, Generator
from facegan.seeds import mix_seed

GRID = 64  # pictures in the fixed grid
METRICS = ("loss/d", "loss/g", "score/real", "score/fake")  # of every batch
RECALIBRATION_BATCHES = 16  # of GRID latents, to measure BatchNorm statistics with


class GAN(pl.LightningModule):
    """DCGAN trained by alternating updates of D and G, with an averaged generator to sample from.

    Training batches are ``(images, labels)`` with images float (N, channels, image_size,
    image_size) in [-1, 1]; labels are not looked at. All arguments are plain numbers and strings,
    so that ``GAN.load_from_checkpoint(path)`` needs nothing else. The defaults are the paper's
    (Radford et al. 2016); see ``conf/model`` for other recipes.

    Args:
        blocks: strided layers in each network; ``None``: from the size.
        norm_d: normalisation in D: ``batch``, ``group`` or ``none``.
        loss: a name in ``facegan.gan.losses.LOSSES``.
        label_smoothing: for ``bce``: real labels are 1 minus this.
        gp_weight: weight of WGAN-GP's gradient penalty, which any loss can have; ``None``: 10 for
            ``wgan-gp``, 0 for others.
        r1_gamma, r2_gamma: weight of ``gamma / 2 * ||grad D||^2`` on real and on fake images.
        penalty_every: R1 and R2 only every so many steps, and so many times as strong.
        augment: what D's images are changed by, of ``facegan.gan.augment.POLICIES``.
        accumulate: batches per optimizer step.
        clip: largest norm of each network's gradient; ``None``: no clipping.
        ema_half_life: of the averaged generator, in images; 0: no averaging.
        ema_ramp: the half-life is at most this share of the images seen.
        compile: ``torch.compile`` both networks while training.
        cuda_graphs: on a single NVIDIA GPU, start all kernels of both half-steps at once; steps
            that accumulate, in float16 or looked at by ``detect_anomaly`` run as usual.

    Raises:
        InputError: for a value or a combination that cannot be trained.
    """

    fixed_z: Tensor  # (GRID, latent_dim): a buffer, so that pictures line up through resumes

    def __init__(
        self,
        image_size: int = 64,
        channels: int = 3,
        latent_dim: int = 100,
        width_g: int = 64,
        width_d: int = 64,
        blocks: int | None = None,
        norm_d: str = "batch",
        spectral_norm: bool = False,
        loss: str = "bce",
        label_smoothing: float = 0.0,
        gp_weight: float | None = None,
        r1_gamma: float = 0.0,
        r2_gamma: float = 0.0,
        penalty_every: int = 1,
        augment: Sequence[str] = (),
        lr_g: float = 2e-4,
        lr_d: float = 2e-4,
        betas_g: Sequence[float] = (0.5, 0.999),
        betas_d: Sequence[float] = (0.5, 0.999),
        accumulate: int = 1,
        clip: float | None = None,
        ema_half_life: float = 10_000,
        ema_ramp: float = 0.05,
        compile: bool = False,
        cuda_graphs: bool = True,
        seed: int = 0,
    ) -> None:
        super().__init__()
        betas_g, betas_d = _pair("model.betas_g", betas_g), _pair("model.betas_d", betas_d)
        self.save_hyperparameters()
        _check(self.settings)
        self.automatic_optimization = False
        self.images_seen = 0  # by all devices together: the x-axis of everything that is logged

        self.generator = Generator(image_size, channels, latent_dim, width_g, blocks)
        self.discriminator = Discriminator(
            image_size, channels, width_d, blocks, norm_d, spectral_norm
        )
        self.generator_ema = average_of(self.generator)
        self.register_buffer("fixed_z", sample_latents(GRID, latent_dim, seed))
        self.to(memory_format=torch.channels_last)

        self._recalibrated_at = -1  # images seen when generator_ema's BatchNorm was last measured
        self._diverged_at = torch.tensor(-1)  # number of the first step with a non-finite loss
        self._graphed: GraphedStep | None = None

    @property
    def settings(self) -> Any:
        """The arguments of ``__init__``, as attributes."""
        return self.hparams

    def images_of(self, n: int, seed: int) -> Callable[[np.ndarray], Tensor]:
        """The generator as a function of picture numbers: the first ``n`` latents of ``seed``.

        The function takes numbers (N,) below ``n`` and returns images in [-1, 1] (N, channels,
        image_size, image_size).
        """
        z = sample_latents(n, self.settings.latent_dim, seed)
        return lambda numbers: self.sample(z[numbers])

    @property
    def penalised(self) -> bool:
        """Whether the loss differentiates D's gradient, which fp16 and a compiled D cannot."""
        return bool(_penalties(self.settings))

    # ------------------------------------------------------------------ what is minimised

    def loss_d(self, real: Tensor, fake: Tensor, penalise: bool = True) -> tuple[Tensor, ...]:
        """L_D with its logits: ``(loss, logits_real, logits_fake)``; one line a term."""
        hp, D = self.settings, self._augmented_d
        logits_real, logits_fake = D(real).float(), D(fake).float()
        if hp.label_smoothing > 0:
            loss = smoothed_bce(logits_real, logits_fake, hp.label_smoothing)
        else:
            loss = LOSSES[hp.loss].d(logits_real, logits_fake)
        if (weight := _gp_weight(hp)) > 0:
            loss = loss + weight * gradient_penalty(D, real, fake)
        if penalise and hp.r1_gamma > 0:
            loss = loss + hp.penalty_every * hp.r1_gamma / 2 * squared_gradient_norm(D, real)
        if penalise and hp.r2_gamma > 0:
            loss = loss + hp.penalty_every * hp.r2_gamma / 2 * squared_gradient_norm(D, fake)
        return loss, logits_real, logits_fake

    def loss_g(self, fake: Tensor, real: Tensor) -> Tensor:
        """L_G: how far ``fake`` is from being taken for real."""
        D, loss = self._augmented_d, LOSSES[self.settings.loss]
        logits_real = None
        if loss.relativistic:
            with torch.no_grad():
                logits_real = D(real).float()
        return loss.g(D(fake).float(), logits_real)

    def _augmented_d(self, images: Tensor) -> Tensor:
        """D of augmented images: so penalties are of gradients to the images before, as R3GAN's."""
        return self.discriminator(augment(images, self.settings.augment))

    # ------------------------------------------------------------------ one training step

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        hp = self.settings
        real = batch[0]
        zero_grad = batch_idx % hp.accumulate == 0
        step = (batch_idx + 1) % hp.accumulate == 0 or self.trainer.is_last_batch
        penalise = batch_idx // hp.accumulate % hp.penalty_every == 0
        update = self._graphed or self._update_networks
        metrics = dict(zip(METRICS, update(real, zero_grad, step, penalise), strict=True))

        new_images = len(real) * self.trainer.world_size
        self.images_seen += new_images
        if step:
            beta = decay(
                new_images * hp.accumulate, self.images_seen, hp.ema_half_life, hp.ema_ramp
            )
            update_average(self.generator_ema, self.generator, beta)
        self._note_divergence(metrics["loss/d"] + metrics["loss/g"])
        self._metrics = metrics
        if self._is_looked_at():
            self._show_metrics()

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        if self.trainer.should_stop and not self._is_looked_at():  # the last, as it turns out now
            self._show_metrics()

    def _is_looked_at(self) -> bool:
        """Whether this step's numbers are shown: those of all would keep a GPU waiting."""
        every = self.trainer.log_every_n_steps  # type: ignore[attr-defined]
        rarely = every > 0 and (self.trainer.fit_loop.total_batch_idx + 1) % every == 0
        return rarely or self.trainer.is_last_batch or self.device.type == "cpu"

    def _show_metrics(self) -> None:
        self._raise_if_diverged()
        losses, scores = METRICS[:2], METRICS[2:]
        self.log_dict({name: self._metrics[name] for name in losses}, prog_bar=True)
        self.log_dict({name: self._metrics[name] for name in scores})
        self.log("step", float(self.images_seen))  # Lightning takes it for the loggers' x-axis

    def _update_networks(self, real: Tensor, zero_grad: bool, step: bool, penalise: bool) -> Tensor:
        """Both half-steps; returns ``METRICS`` (4,). What it does must be fit for a CUDA graph."""
        hp = self.settings
        optimizer_d, optimizer_g = cast(list[LightningOptimizer], self.optimizers())
        # One forward pass of G serves both half-steps: D's must not reach into it, G's does.
        z = torch.randn(len(real), hp.latent_dim, device=real.device)
        fake = self.generator(z)

        with self._half_step(optimizer_d, zero_grad, step):
            loss_d, logits_real, logits_fake = self.loss_d(real, fake.detach(), penalise)
            self.manual_backward(loss_d / hp.accumulate)

        with self._half_step(optimizer_g, zero_grad, step):
            loss_g = self.loss_g(fake, real)
            self.manual_backward(loss_g / hp.accumulate)

        scores = logits_real.sigmoid().mean(), logits_fake.sigmoid().mean()
        return torch.stack([loss_d, loss_g, *scores]).detach()

    @contextmanager
    def _half_step(
        self, optimizer: LightningOptimizer, zero_grad: bool, step: bool
    ) -> Iterator[None]:
        """Update one network: the other is frozen, so that its gradients are never computed."""
        with self.toggled_optimizer(optimizer):
            if zero_grad:
                optimizer.zero_grad()
            yield
            if step:
                if self.settings.clip is not None:
                    # Not Lightning's: it refuses fused optimizers in bf16, where nothing is scaled.
                    parameters = optimizer.param_groups[0]["params"]
                    torch.nn.utils.clip_grad_norm_(parameters, self.settings.clip)
                optimizer.step()

    def _note_divergence(self, loss: Tensor) -> None:
        """Keep the step of the first non-finite loss, on the device."""
        step = self.trainer.fit_loop.total_batch_idx + 1
        bad = ~torch.isfinite(loss) & (self._diverged_at < 0)
        self._diverged_at = torch.where(bad, step, self._diverged_at)

    def _raise_if_diverged(self) -> None:
        if self._diverged_at >= 0:
            raise DivergedError(
                f"The loss became non-finite at training step {int(self._diverged_at):,} (epoch "
                f"{self.current_epoch + 1}, about {self.images_seen:,} images seen); checkpoints "
                "written before are intact. Lower model.lr_d and model.lr_g, or set model.clip=1, "
                "and start again from one of them."
            )

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        networks = (self.discriminator, self.generator)
        return [
            torch.optim.Adam(network.parameters(), **settings)
            for network, settings in zip(networks, self._adam_settings(), strict=True)
        ]

    def _adam_settings(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Of D's optimizer and of G's."""
        hp, device = self.settings, self.device.type
        kind = {"fused": device in ("cuda", "cpu", "mps", "xpu"), "capturable": device == "cuda"}
        return (
            {"lr": hp.lr_d, "betas": hp.betas_d, **kind},
            {"lr": hp.lr_g, "betas": hp.betas_g, **kind},
        )

    # ------------------------------------------------------------------ how a step is run

    def on_fit_start(self) -> None:
        self._diverged_at = self._diverged_at.to(self.device)
        if self.settings.compile:  # in place, so that the names in a checkpoint stay
            self.generator.compile()
            self.discriminator.compile()
        if self._fits_a_cuda_graph():
            self._graphed = GraphedStep(self._update_networks, self._count_optimizer_steps)

    def on_fit_end(self) -> None:
        self._graphed = None  # it holds on to memory, and to these optimizers

    def _fits_a_cuda_graph(self) -> bool:
        trainer = self.trainer
        return (
            self.settings.cuda_graphs
            and self.device.type == "cuda"
            and isinstance(trainer.strategy, SingleDeviceStrategy)  # DDP, also of one, waits for it
            and self.settings.accumulate == 1
            and trainer.precision != "16-mixed"
            and not trainer._detect_anomaly
        )

    def _count_optimizer_steps(self) -> None:
        """In Lightning's count, by which ModelCheckpoint knows that there is something to save."""
        progress = self.trainer.fit_loop.epoch_loop.manual_optimization.optim_step_progress
        for _ in range(2):
            progress.increment_ready()
            progress.increment_completed()

    # ------------------------------------------------------------------ randomness

    def on_train_start(self) -> None:
        self._reseed()
        # A checkpoint brings the learning rates and the device of its own run: this run's count.
        for optimizer, settings in zip(self.trainer.optimizers, self._adam_settings(), strict=True):
            optimizer.param_groups[0].update(settings)

    def on_train_epoch_start(self) -> None:
        self._reseed()

    def _reseed(self) -> None:
        """Latents and flips follow from (seed, rank, images seen), not from what ran before.

        So ranks differ though they share the seed, and a resumed run draws what the
        uninterrupted one draws, without random states in the checkpoint.
        """
        torch.manual_seed(mix_seed(self.settings.seed, self.global_rank, self.images_seen))

    # ------------------------------------------------------------------ sampling and checkpoints

    def sample(self, z: Tensor | None = None) -> Tensor:
        """Images in [-1, 1] (N, channels, image_size, image_size) of the averaged generator.

        ``z``: latents (N, latent_dim), on any device; ``None``: the fixed grid, the same 64 faces
        at any time.
        """
        self._recalibrate()
        z = self.fixed_z if z is None else z.to(self.device)
        with evaluating(self.generator_ema) as G:
            # Always GRID rows at a time: convolutions round differently for other batch sizes,
            # and a picture must not depend on how many are drawn with it.
            rows = [G(F.pad(block, (0, 0, 0, GRID - len(block)))) for block in z.split(GRID)]
        return torch.cat(rows)[: len(z)]

    def _recalibrate(self) -> None:
        """Measure generator_ema's BatchNorm statistics, unless its weights have not moved since."""
        if self._recalibrated_at == self.images_seen:
            return
        z = sample_latents(
            GRID * RECALIBRATION_BATCHES, self.settings.latent_dim, mix_seed(self.settings.seed, 1)
        )
        recalibrate_batch_norm(self.generator_ema, z.to(self.device).split(GRID))
        self._recalibrated_at = self.images_seen

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self._raise_if_diverged()  # before it replaces a good checkpoint
        self._recalibrate()  # in place, and so also in the state_dict that checkpoint already holds
        checkpoint["images_seen"] = self.images_seen

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.images_seen = self._recalibrated_at = checkpoint["images_seen"]
        # trainer.max_time is of this command: what the one before it took does not count.
        checkpoint.get("callbacks", {}).pop("Timer", None)
