"""The GAN: both networks, what each minimises, and the two half-steps of a training step."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any, cast

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.core.optimizer import LightningOptimizer
from torch import Tensor

from facegan.gan import ema
from facegan.gan.augment import augment
from facegan.gan.conditions import Conditions
from facegan.gan.cuda_graphs import GraphedStep, can_capture
from facegan.gan.divergence import Divergence
from facegan.gan.latents import sample_latents
from facegan.gan.losses import LOSSES, gradient_penalty, smoothed_bce, squared_gradient_norm
from facegan.gan.optimizers import adam_settings, update
from facegan.gan.settings import STEP_METRICS, GANSettings
from facegan.lightning_internals import count_optimizer_steps, step_number
from facegan.networks import BACKBONES
from facegan.seeds import CALIBRATION, mix_seed

GRID = 64  # pictures in the fixed grid


class GAN(pl.LightningModule):
    """Two networks trained by alternating updates, with an averaged generator to sample from.

    Batches are ``(images, labels)`` with images float (N, channels, image_size, image_size) in
    [-1, 1]. ``GAN.load_from_checkpoint(path)`` needs nothing but the file.

    Args:
        conditions: specification of :class:`facegan.gan.conditions.Conditions` that the generator
            is to obey; ``None``: unconditional.
        **settings: numbers, strings and lists, see :class:`facegan.gan.settings.GANSettings`; the
            defaults are the paper's (Radford et al. 2016).

    Raises:
        InputError: for a value or a combination that cannot be trained.
    """

    fixed_z: Tensor  # (GRID, latent_dim): a buffer, so that a resumed run shows the same faces

    def __init__(self, conditions: Mapping[str, Any] | None = None, **settings: Any) -> None:
        super().__init__()
        self.settings = GANSettings(**settings)
        self.conditions = Conditions(**conditions or {})
        specified = {"conditions": self.conditions.specification()}
        self.save_hyperparameters(self.settings.model_dump(mode="json") | specified)
        self.automatic_optimization = False
        self.images_seen = 0  # by all devices together: the x-axis of everything that is logged

        networks = BACKBONES[self.settings.backbone](self.settings, self.conditions.num_conditions)
        self.generator, self.discriminator = networks
        self.generator_ema = ema.average_of(self.generator)
        z = sample_latents(GRID, self.settings.latent_dim, self.settings.seed)
        self.register_buffer("fixed_z", z)
        self.to(memory_format=torch.channels_last)

        self._calibrated_at = -1  # images seen when generator_ema's BatchNorm was last measured
        self._accumulated = 0  # batches whose gradients wait for an update
        self._metrics: dict[str, Tensor] = {}
        self._divergence = Divergence(self.device)
        self._graphed: GraphedStep | None = None

    def loss_d(
        self, real: Tensor, fake: Tensor, y: Tensor | None = None, *, penalise: bool = True
    ) -> tuple[Tensor, ...]:
        """L_D with its logits: ``(loss, logits_real, logits_fake)``; one line per term.

        ``y``: conditions (N, c) of both ``real`` and ``fake``.
        """
        s, D = self.settings, partial(self._augmented_d, y=y)
        logits_real, logits_fake = D(real).float(), D(fake).float()
        if s.label_smoothing > 0:
            loss = smoothed_bce(logits_real, logits_fake, s.label_smoothing)
        else:
            loss = LOSSES[s.loss].d(logits_real, logits_fake)
        if (weight := s.gradient_penalty_weight) > 0:
            loss = loss + weight * gradient_penalty(D, real, fake)
        if penalise and s.r1_gamma > 0:
            loss = loss + s.penalty_every * s.r1_gamma / 2 * squared_gradient_norm(D, real)
        if penalise and s.r2_gamma > 0:
            loss = loss + s.penalty_every * s.r2_gamma / 2 * squared_gradient_norm(D, fake)
        return loss, logits_real, logits_fake

    def loss_g(self, fake: Tensor, real: Tensor, y: Tensor | None = None) -> Tensor:
        """L_G: how far ``fake`` is from being taken for real."""
        D, loss = partial(self._augmented_d, y=y), LOSSES[self.settings.loss]
        with torch.no_grad():
            logits_real = D(real).float() if loss.relativistic else None
        return loss.g(D(fake).float(), logits_real)

    def _augmented_d(self, images: Tensor, y: Tensor | None) -> Tensor:
        """D on augmented images.

        Penalties differentiate with respect to the images before augmentation, as in R3GAN.
        """
        return self.discriminator(augment(images, self.settings.augment), y)

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        s, trainer = self.settings, self.trainer
        real, labels = batch
        self._accumulated += 1  # from 0 in a resumed run, which drops gradients before an interrupt
        step = (batch_idx + 1) % s.accumulate == 0 or trainer.is_last_batch
        # Lightning's global_step counts both optimizers, since the start of training.
        penalise = trainer.global_step // 2 % s.penalty_every == 0
        run = self._graphed or self._update_networks
        metrics = run(real, labels, batches=self._accumulated, step=step, penalise=penalise)
        self._metrics = dict(zip(STEP_METRICS, metrics, strict=True))

        new_images = len(real) * trainer.world_size
        self.images_seen += new_images
        if step:
            images = new_images * self._accumulated
            beta = ema.decay(images, self.images_seen, s.ema_half_life, s.ema_ramp)
            ema.update_average(self.generator_ema, self.generator, beta)
            self._accumulated = 0
        self._divergence.watch(metrics[:2].sum(), step_number(trainer))
        if self.should_log():
            self._log_metrics()

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        if self.trainer.should_stop and not self.should_log():  # the last step of all
            self._log_metrics()

    def should_log(self) -> bool:
        """Whether to log this step; logging every step would synchronise with the GPU."""
        every = self.trainer.log_every_n_steps  # type: ignore[attr-defined]
        due = every > 0 and step_number(self.trainer) % every == 0
        return due or self.trainer.is_last_batch or self.device.type == "cpu"

    def _log_metrics(self) -> None:
        self._divergence.check(self.current_epoch + 1, self.images_seen)
        for name, value in self._metrics.items():
            self.log(name, value, prog_bar=name.startswith("loss"))
        # Lightning takes "step" for the loggers' x-axis; in float32 it is not exact above 2**24.
        self.log("step", torch.tensor(self.images_seen, dtype=torch.float64))

    def _update_networks(
        self, real: Tensor, labels: Tensor, *, batches: int = 1, step: bool, penalise: bool
    ) -> Tensor:
        """Both half-steps; returns ``STEP_METRICS`` (4,). It must be capturable as a CUDA graph.

        ``batches``: accumulated since the last update, with this one.
        """
        optimizer_d, optimizer_g = cast(list[LightningOptimizer], self.optimizers())
        # One forward pass of G serves both half-steps; only G's backpropagates through it.
        z = torch.randn(len(real), self.settings.latent_dim, device=real.device)
        # Generated images have the conditions of the real ones, combinations that there are; so
        # the losses that compare or mix the two, pair images of the same condition.
        y = self.conditions.encode(self.conditions.of_batch(labels))
        fake = self.generator(z, y)

        with self._half_step(optimizer_d, batches, step):
            detached = fake.detach()
            loss_d, logits_real, logits_fake = self.loss_d(real, detached, y, penalise=penalise)
            self.manual_backward(loss_d)

        with self._half_step(optimizer_g, batches, step):
            loss_g = self.loss_g(fake, real, y)
            self.manual_backward(loss_g)

        scores = logits_real.sigmoid().mean(), logits_fake.sigmoid().mean()
        return torch.stack([loss_d, loss_g, *scores]).detach()

    @contextmanager
    def _half_step(self, optimizer: LightningOptimizer, batches: int, step: bool) -> Iterator[None]:
        """Update one network; the other is frozen, so that its gradients are never computed."""
        with self.toggled_optimizer(optimizer):
            if batches == 1:
                optimizer.zero_grad()
            yield
            if step:
                update(optimizer, batches, self.settings.clip)

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        of_d, of_g = adam_settings(self.settings, self.device)
        D, G = self.discriminator, self.generator
        return [torch.optim.Adam(D.parameters(), **of_d), torch.optim.Adam(G.parameters(), **of_g)]

    def on_fit_start(self) -> None:
        self._divergence, self._accumulated = Divergence(self.device), 0
        if self.settings.compile:  # in place, so that the names in a checkpoint stay
            self.generator.compile()
            self.discriminator.compile()
        graphs = self.settings.cuda_graphs and self.settings.accumulate == 1
        if graphs and can_capture(self.trainer):
            count = partial(count_optimizer_steps, self.trainer, 2)  # a replay bypasses Lightning
            self._graphed = GraphedStep(self._update_networks, on_replay=count)

    def on_fit_end(self) -> None:
        self._graphed = None  # it holds memory and these optimizers

    def on_train_start(self) -> None:
        self._reseed()
        # A checkpoint restores the learning rates and the device of its own run: keep this run's.
        kinds = adam_settings(self.settings, self.device)
        for optimizer, settings in zip(self.trainer.optimizers, kinds, strict=True):
            optimizer.param_groups[0].update(settings)

    def on_train_epoch_start(self) -> None:
        self._reseed()

    def _reseed(self) -> None:
        """Make latents and flips follow from seed, rank and images seen.

        Ranks differ, and a resumed run draws what the uninterrupted one draws.
        """
        torch.manual_seed(mix_seed(self.settings.seed, self.global_rank, self.images_seen))

    def sample(self, z: Tensor | None = None, labels: Tensor | None = None) -> Tensor:
        """Images in [-1, 1] (N, channels, image_size, image_size) of the averaged generator.

        Args:
            z: latents (N, latent_dim), on any device; ``None``: the fixed grid of 64.
            labels: of a conditional generator, the values (N, L) to obey, see
                :meth:`Conditions.draw`; ``None``: as common as in the training images.
        """
        self._calibrate()
        z = self.fixed_z if z is None else z.to(self.device)
        if labels is None:
            labels = self.conditions.draw(len(z), self.settings.seed)
        return ema.generate(self.generator_ema, z, self.conditions.encode(labels.to(self.device)))

    def images_of(self, n: int, seed: int) -> Callable[[np.ndarray], Tensor]:
        """A function from picture numbers (N,) below ``n`` to images of ``seed``, as by sample."""
        z = sample_latents(n, self.settings.latent_dim, seed)
        labels = self.conditions.draw(n, seed)
        return lambda numbers: self.sample(z[numbers], labels[numbers])

    def _calibrate(self) -> None:
        """Measure generator_ema's BatchNorm statistics unless its weights are unchanged since."""
        if self._calibrated_at != self.images_seen:
            n, seed = ema.CALIBRATION_LATENTS, mix_seed(self.settings.seed, CALIBRATION)
            z = sample_latents(n, self.settings.latent_dim, seed).to(self.device)
            labels = self.conditions.draw(n, seed).to(self.device)
            ema.calibrate(self.generator_ema, z, self.conditions.encode(labels))
        self._calibrated_at = self.images_seen

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        # Before it replaces a good checkpoint.
        self._divergence.check(self.current_epoch + 1, self.images_seen)
        self._calibrate()  # in place, and so also in the state_dict that checkpoint already holds
        checkpoint["images_seen"] = self.images_seen
        checkpoint["conditions"] = self.conditions.state()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.images_seen = self._calibrated_at = checkpoint["images_seen"]
        if "conditions" in checkpoint:
            self.conditions.load_state(checkpoint["conditions"])
        # trainer.max_time limits this command: the time of earlier ones does not count.
        checkpoint.get("callbacks", {}).pop("Timer", None)
