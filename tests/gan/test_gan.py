"""The training step, seen from outside: what moves and what does not."""

from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from facegan.errors import DivergedError
from facegan.files import read_csv
from facegan.gan.gan import GAN
from facegan.gan.losses import LOSSES
from facegan.seeds import mix_seed

TINY: dict[str, Any] = {"image_size": 16, "latent_dim": 8, "width_g": 4, "width_d": 4}
PENALISED = {"norm_d": "none", "r1_gamma": 1.0, "r2_gamma": 1.0}


def loader(batches: int = 4, batch_size: int = 8) -> DataLoader:
    images = torch.rand(batches * batch_size, 3, 16, 16, generator=torch.manual_seed(1)) * 2 - 1
    labels = torch.zeros(len(images), 0)
    return DataLoader(torch.utils.data.TensorDataset(images, labels), batch_size=batch_size)


def fit(
    model: GAN, data: DataLoader | None = None, ckpt_path: Any = None, **options: Any
) -> pl.Trainer:
    options = {"max_epochs": 1, "logger": False, **options}
    trainer = pl.Trainer(
        accelerator="cpu",
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        **options,
    )
    trainer.fit(model, data or loader(), ckpt_path=ckpt_path)
    return trainer


def weights(network: torch.nn.Module) -> Tensor:
    return torch.cat([p.detach().flatten() for p in network.parameters()])


def tiny(**options: Any) -> GAN:
    torch.manual_seed(0)
    return GAN(**{**TINY, **options})


@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_moves_both_networks_and_stays_finite(loss: str):
    model = tiny(loss=loss, **(PENALISED if loss in ("wgan-gp", "rpgan") else {}))
    before = weights(model.generator), weights(model.discriminator)
    trainer = fit(model)
    for old, network in zip(before, (model.generator, model.discriminator), strict=True):
        assert weights(network).isfinite().all()
        assert not torch.equal(weights(network), old)
    assert trainer.logged_metrics["loss/d"].isfinite()


class BeforeGError(Exception):
    pass


def test_the_half_step_of_d_leaves_g_as_it_was(monkeypatch: pytest.MonkeyPatch):
    model = tiny()
    g, d = weights(model.generator), weights(model.discriminator)

    def stop(*_: Tensor) -> Tensor:
        assert all(p.grad is None for p in model.generator.parameters())
        assert not any(p.requires_grad for p in model.discriminator.parameters())
        raise BeforeGError

    monkeypatch.setattr(model, "loss_g", stop)
    with pytest.raises(BeforeGError):
        fit(model)
    assert torch.equal(weights(model.generator), g)
    assert not torch.equal(weights(model.discriminator), d)


def test_the_half_step_of_g_leaves_d_and_its_gradients_as_they_were(
    monkeypatch: pytest.MonkeyPatch,
):
    model = tiny()
    seen: list[list[Tensor]] = []
    loss_g = model.loss_g

    def remember(*args: Tensor) -> Tensor:
        seen.append([p.grad.clone() for p in model.discriminator.parameters()])
        seen[-1].append(weights(model.discriminator))
        return loss_g(*args)

    monkeypatch.setattr(model, "loss_g", remember)
    fit(model, limit_train_batches=1)
    assert torch.equal(weights(model.discriminator), seen[0].pop())
    for p, grad in zip(model.discriminator.parameters(), seen[0], strict=True):
        assert torch.equal(p.grad, grad)


def test_one_step_is_the_textbook_step():
    """Adam on BCE, D first, then G against the updated D, written out."""
    model, data = tiny(), loader(batches=1)
    twin = tiny()
    fit(model, data)

    G, D = twin.generator.train(), twin.discriminator.train()
    adam = {"lr": 2e-4, "betas": (0.5, 0.999)}
    optimizer_d = torch.optim.Adam(D.parameters(), **adam)
    optimizer_g = torch.optim.Adam(G.parameters(), **adam)
    real = next(iter(data))[0]
    torch.manual_seed(mix_seed(0, 0, 0))  # seed, rank, images seen
    fake = G(torch.randn(8, 8))
    bce, ones, zeros = torch.nn.functional.binary_cross_entropy, torch.ones(8), torch.zeros(8)
    (bce(D(real).sigmoid(), ones) + bce(D(fake.detach()).sigmoid(), zeros)).backward()
    optimizer_d.step()
    bce(D(fake).sigmoid(), ones).backward()
    optimizer_g.step()
    torch.testing.assert_close(weights(model.discriminator), weights(D), rtol=0, atol=1e-6)
    torch.testing.assert_close(weights(model.generator), weights(G), rtol=0, atol=1e-6)


def test_accumulated_batches_are_one_large_batch():
    gradients = []
    for accumulate, data in ((2, loader(2, batch_size=8)), (1, loader(1, batch_size=16))):
        model = tiny(accumulate=accumulate, norm_d="none", loss="lsgan")
        model.generator.eval()  # BatchNorm there would tell batches of 8 from one of 16
        fit(model, data)
        gradients.append(torch.cat([p.grad.flatten() for p in model.discriminator.parameters()]))
    torch.testing.assert_close(*gradients)


def test_a_last_incomplete_accumulation_is_averaged_over_its_own_batches():
    gradients, averages = [], []
    for accumulate in (2, 3):
        model = tiny(accumulate=accumulate, clip=1e9)
        fit(model, loader(2))
        gradients.append(torch.cat([p.grad.flatten() for p in model.discriminator.parameters()]))
        averages.append(weights(model.generator_ema))
    assert torch.equal(*gradients)
    assert torch.equal(*averages)  # the decay, too, is that of 2 batches


class SaveAndStop(pl.Callback):
    """Writes ``path`` before the last batch of an epoch and ends the training there."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: GAN, batch, batch_idx) -> None:
        if batch_idx == 3:
            trainer.save_checkpoint(self.path)
            raise KeyboardInterrupt


def test_a_run_resumed_mid_accumulation_averages_over_the_remaining_batches(tmp_path: Path):
    path = tmp_path / "a.ckpt"
    with pytest.raises(SystemExit):
        fit(tiny(accumulate=4), callbacks=[SaveAndStop(path)])
    resumed = []
    for accumulate in (4, 1):  # of the window of 4, one batch is left
        model = tiny(accumulate=accumulate)
        fit(model, ckpt_path=path)
        assert model.images_seen == 4 * 8
        resumed.append(torch.cat([weights(model.generator), weights(model.generator_ema)]))
    assert torch.equal(*resumed)


def test_clipping_bounds_the_gradient():
    model = tiny(clip=1e-3)
    fit(model, loader(1))
    for network in (model.generator, model.discriminator):
        norm = torch.cat([p.grad.flatten() for p in network.parameters()]).norm()
        assert norm <= 1.001e-3


def test_lazy_penalty_is_as_strong_and_rarer(monkeypatch: pytest.MonkeyPatch):
    calls = []
    monkeypatch.setattr(
        "facegan.gan.gan.squared_gradient_norm", lambda D, x: calls.append(1) or torch.tensor(2.0)
    )
    model = tiny(norm_d="none", r1_gamma=1.0, penalty_every=4)
    real, fake = torch.rand(2, 3, 16, 16), torch.rand(2, 3, 16, 16)
    with_penalty = model.loss_d(real, fake, penalise=True)[0]
    without = model.loss_d(real, fake, penalise=False)[0]
    assert (with_penalty - without).item() == pytest.approx(4 * 1.0 / 2 * 2.0)


def test_lazy_penalties_are_counted_from_the_start_of_training(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    """Not from the start of an epoch, and also when a run is resumed."""
    seen: list[int] = []
    model = tiny(norm_d="none", r1_gamma=1.0, penalty_every=4)

    def penalty(D: object, images: Tensor) -> Tensor:
        seen.append(model.images_seen)
        return torch.tensor(2.0)

    monkeypatch.setattr("facegan.gan.gan.squared_gradient_norm", penalty)
    trainer = fit(model, loader(3), max_epochs=3)
    trainer.save_checkpoint(tmp_path / "a.ckpt")
    fit(model, loader(3), max_epochs=5, ckpt_path=tmp_path / "a.ckpt")
    assert seen == [0, 4 * 8, 8 * 8, 12 * 8]


def test_samples_come_from_the_average_in_eval_mode_and_change_nothing():
    model = tiny()
    fit(model)
    before = {k: v.clone() for k, v in model.state_dict().items() if "ema" not in k}
    first, again = model.sample(), model.sample()
    assert first.shape == (64, 3, 16, 16)
    assert torch.equal(first, again)
    assert first.abs().max() <= 1
    assert not first.requires_grad
    assert not torch.equal(weights(model.generator_ema), weights(model.generator))
    for name, value in before.items():
        assert torch.equal(model.state_dict()[name], value), name


def test_a_picture_does_not_depend_on_its_batch():
    model = tiny(width_g=16, image_size=32)
    z = torch.randn(100, 8)
    whole = model.sample(z)
    for size in (1, 7, 64, 100):
        assert torch.equal(torch.cat([model.sample(part) for part in z.split(size)]), whole)


def test_sampling_between_steps_does_not_disturb_training():
    class Look(pl.Callback):
        def on_train_batch_end(self, trainer: pl.Trainer, pl_module: GAN, *_: Any) -> None:
            pl_module.sample()

    plain, watched = tiny(), tiny()
    fit(plain)
    fit(watched, callbacks=[Look()])
    assert torch.equal(weights(plain.generator), weights(watched.generator))
    assert torch.equal(weights(plain.discriminator), weights(watched.discriminator))


def test_images_seen_counts_images_not_optimizer_steps():
    model = tiny()
    trainer = fit(model, loader(3), max_epochs=2)
    assert model.images_seen == 2 * 3 * 8
    assert trainer.global_step == 2 * 2 * 3  # why it is not the x-axis


def test_the_x_axis_is_exact_above_2_to_the_24_images(tmp_path: Path):
    model = tiny()
    model.images_seen = 2**24 + 1
    logger = pl.loggers.CSVLogger(tmp_path, name="", version="")
    fit(model, loader(1), logger=logger, log_every_n_steps=1)
    (row,) = read_csv(tmp_path / "metrics.csv")
    assert int(row["step"]) == 2**24 + 1 + 8


def test_training_is_that_of_version_0_1():
    """Norms of weights after four steps, computed with commit 20208cc."""
    model = tiny()
    fit(model)
    norms = {"generator": 3.550142, "discriminator": 2.930640, "generator_ema": 3.550143}
    for name, norm in norms.items():
        assert weights(getattr(model, name)).norm().item() == pytest.approx(norm, rel=1e-5)


def test_a_non_finite_loss_names_its_step():
    model = tiny()
    data = loader(3)
    data.dataset.tensors[0][8:16] = float("nan")  # the second batch
    with pytest.raises(DivergedError, match="training step 2 "):
        fit(model, data)


@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_trains_in_bf16(loss: str):
    model = tiny(loss=loss, **(PENALISED if loss in ("wgan-gp", "rpgan") else {}))
    before = weights(model.generator)
    fit(model, precision="bf16-mixed")
    assert weights(model.generator).dtype == torch.float32
    assert not torch.equal(weights(model.generator), before)


def test_gradients_are_clipped_in_bfloat16_too():
    model = tiny(clip=1e-3)
    before = weights(model.discriminator)
    fit(model, precision="bf16-mixed")
    assert not torch.equal(weights(model.discriminator), before)


def test_the_gradient_penalty_belongs_to_wgan_gp_and_to_others_when_asked():
    real, fake = torch.rand(2, 8, 3, 16, 16) * 2 - 1

    def loss(**options: Any) -> torch.Tensor:
        torch.manual_seed(1)  # where between real and fake it is measured
        return tiny(norm_d="none", **options).loss_d(real, fake)[0]

    for name, weight in {"wgan-gp": 10.0, "hinge": 0.0}.items():
        assert loss(loss=name).equal(loss(loss=name, gp_weight=weight))
        penalties = [loss(loss=name, gp_weight=w) - loss(loss=name, gp_weight=0.0) for w in (1, 2)]
        assert penalties[0] > 0
        torch.testing.assert_close(penalties[1], 2 * penalties[0])


def test_a_resumed_run_uses_the_learning_rates_that_are_set(tmp_path):
    fit(tiny()).save_checkpoint(tmp_path / "a.ckpt")
    model = tiny(lr_d=1e-5, betas_g=[0, 0.9])
    trainer = fit(model, max_epochs=2, ckpt_path=tmp_path / "a.ckpt")
    optimizer_d, optimizer_g = trainer.optimizers
    assert optimizer_d.param_groups[0]["lr"] == 1e-5
    assert optimizer_g.param_groups[0]["betas"] == (0.0, 0.9)


def test_networks_that_diverged_are_not_saved(tmp_path):
    model, data = tiny(), loader(3)
    data.dataset.tensors[0][8:16] = float("nan")  # the second batch
    trainer = pl.Trainer(accelerator="cpu", max_epochs=1, logger=False, enable_progress_bar=False)
    with pytest.raises(DivergedError):
        trainer.fit(model, data)
    with pytest.raises(DivergedError, match="training step 2 "):
        trainer.save_checkpoint(tmp_path / "a.ckpt")
    assert not (tmp_path / "a.ckpt").exists()


def test_d_sees_augmented_images_in_both_half_steps():
    seen: list[Tensor] = []
    images = torch.rand(6, 3, 16, 16) + 0.1
    gan = GAN(**TINY, augment=["cutout"])
    gan.discriminator.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    gan.loss_d(images, images)
    gan.loss_g(images, images)
    assert len(seen) == 3
    assert all((given == 0).all(1).any() for given in seen)
