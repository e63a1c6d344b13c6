"""How good are the faces, as numbers: ``python -m facegan.evaluate ckpt=RUN_DIR``."""

import hashlib
import logging
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig

from facegan import __version__, config
from facegan.errors import expect, expect_int, expect_list, expect_one_of, expect_seed
from facegan.files import replacing, write_json

if TYPE_CHECKING:  # at run time only once there is something to evaluate: --help must be quick
    import numpy as np
    from torch import Tensor

    from facegan.data.base import ImageDataModule
    from facegan.extractors import Extractor
    from facegan.metrics.memory import Memory

log = logging.getLogger(__name__)

METRICS = ("fd", "kd", "prdc", "swd", "new")
SWD_IMAGES = 2048  # at most, of each kind: their patches are held in memory
ROWS = 4096  # of vectors that are made float64 at a time
SHOWN = 12  # generated images with their nearest real one


def evaluate(cfg: DictConfig) -> None:
    """Score ``cfg.n`` generated images against real ones; write ``evaluation.json``."""
    _check_values(cfg)
    import numpy as np

    from facegan.extractors import extractor
    from facegan.gan import usable_device
    from facegan.metrics.memory import memory

    generated, data, out, facts = _sources(cfg)
    weights = cfg.extractor.weights
    if cfg.extractor.kind == "cnn" and weights is None and cfg.ckpt is not None:
        weights = config.run_dir_of(Path(facts["checkpoint"])) / "classify"
        weights = str(weights / Path(facts["checkpoint"]).stem / "cnn.ckpt")
        expect(
            Path(weights).is_file(),
            f"There is no network to compare by at {weights}: make it with python -m "
            f"facegan.classify ckpt={cfg.ckpt} classify.probe=cnn, or set extractor.kind=pixels.",
        )
    device = usable_device(facts["device"])
    read = extractor(cfg.extractor.kind, weights, device)
    rows = data.subset(cfg.split, seed=cfg.seed)
    held_out = np.concatenate([data.store.rows("val"), data.store.rows("test")])
    _check_enough(cfg, facts["n"], len(rows), len(held_out))
    numbers = np.random.default_rng(cfg.seed).permutation(facts["of"])[: facts["n"]]
    made = _vectors(read, generated, numbers, "Generated images")
    real = _real_vectors(read, data, rows, cfg.split, device)

    scores = _scores(cfg, read, real, made)
    if "swd" in cfg.metrics:
        scores |= _sliced(cfg, data, rows, generated, numbers)
    if "new" in cfg.metrics:  # which the training images decide, whatever is compared with above
        known = data.subset("train", seed=cfg.seed)
        trained = (
            real if cfg.split == "train" else _real_vectors(read, data, known, "train", device)
        )
        others = np.random.default_rng(cfg.seed).permutation(held_out)
        found = memory(trained, _real_vectors(read, data, others, "held out", device), made)
        said = {"p": found.p, "copier": found.copier}
        scores[read.metric("copies")] = {"value": found.copies, "error": None, **said}
        _draw_nearest(found, data, known, generated, numbers, out)
    content = {**facts, "extractor": {"name": read.name, "weights": read.key}, **scores}
    write_json(out / "evaluation.json", content)
    lines = [f"  {name:<24}{_worded(score)}" for name, score in scores.items()]
    log.info(
        "%s generated against %s real images:\n%s\nEverything is in %s",
        *(f"{len(made):,}", f"{len(real):,}", "\n".join(lines), out),
    )


def _check_values(cfg: DictConfig) -> None:
    given = (cfg.ckpt is not None) + (cfg.samples is not None)
    expect(given == 1, "Say what to evaluate: ckpt=FILE or RUN_DIR, or samples=DIR.")
    for name in ("n", "kid_subsets"):
        expect_int(name, cfg[name], at_least=1)
    expect_int("kid_subset_size", cfg.kid_subset_size, at_least=2)
    expect_seed("seed", cfg.seed)
    expect_one_of("split", cfg.split, ("train", "val", "test"))
    expect_list("metrics", cfg.metrics, "[fd,prdc]")
    expect(len(cfg.metrics) > 0, f"metrics is empty: choose from {', '.join(METRICS)}.")
    for metric in cfg.metrics:
        expect_one_of("metrics", metric, METRICS)


def _check_enough(cfg: DictConfig, n: int, real: int, held_out: int) -> None:
    """Before anything is drawn or read."""
    from facegan.metrics import kernel, memory

    if "kd" in cfg.metrics:
        kernel.expect_enough(min(n, real), cfg.kid_subset_size)
    if "new" in cfg.metrics:
        memory.expect_enough(held_out)


def _sources(
    cfg: DictConfig,
) -> tuple[Callable[["np.ndarray"], "Tensor"], "ImageDataModule", Path, dict[str, Any]]:
    """Generated images by number, the real data, where to write, and what to say of them."""
    import torch
    from omegaconf import OmegaConf

    from facegan.gan import load_gan, usable_device
    from facegan.latent import sample_latents

    facts: dict[str, Any] = {
        "facegan": __version__,
        "torch": torch.__version__,
        "command": shlex.join(["python", "-m", "facegan.evaluate", *sys.argv[1:]]),
        "seed": cfg.seed,
        "split": cfg.split,
    }
    if cfg.samples is None:
        gan, path = load_gan(cfg.ckpt, cfg.device)
        data = config.build_data(cfg, gan.hp)
        z = sample_latents(cfg.n, gan.hp.latent_dim, cfg.seed)
        out = config.out_dir(cfg, config.run_dir_of(path) / "evaluation" / path.stem)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        facts |= {"checkpoint": str(path), "sha256": digest, "images_seen": gan.images_seen}
        facts |= {"n": cfg.n, "of": cfg.n, "device": str(gan.device)}
        return lambda numbers: gan.sample(z[numbers].to(gan.device)), data, out, facts
    sizes = cfg.dataset.image_size, cfg.dataset.channels
    expect(
        None not in sizes,
        "With samples=DIR, say at which size to compare: dataset.image_size=64 dataset.channels=3.",
    )
    folder = Path(str(cfg.samples)).expanduser()
    expect(folder.is_dir(), f"samples={folder} is not a directory.")
    hp = OmegaConf.create({"image_size": sizes[0], "channels": sizes[1]})
    data = config.build_data(cfg, hp)
    pictures = config.pictures_in(folder, cfg, hp, "samples")
    there = len(pictures.store)
    device = usable_device(cfg.device)
    facts |= {"samples": str(folder), "n": min(cfg.n, there), "of": there, "device": str(device)}
    out = config.out_dir(cfg, folder.parent / f"{folder.name}_evaluation")
    return lambda numbers: pictures.images(numbers, device), data, out, facts


def _vectors(
    read: "Extractor", images_of: Callable[["np.ndarray"], "Tensor"], rows: "np.ndarray", what: str
) -> "Tensor":
    import torch

    from facegan import features

    chunks = features.with_progress(features.stream(read.read, images_of, rows), rows, what)
    return torch.cat([chunk.cpu() for chunk in chunks])


def _real_vectors(
    read: "Extractor", data: "ImageDataModule", rows: "np.ndarray", split: str, device: Any
) -> "Tensor":
    """Those of ``rows``, kept beside the packed images for the next time."""
    import numpy as np
    import torch

    order = np.argsort(rows)  # what is kept does not depend on the order asked for
    identity = hashlib.sha256(rows[order].astype("<i8").tobytes()).hexdigest()[:12]
    cached = data.store.path / "vectors" / f"{read.name}-{read.key}-{identity}.npy"
    if cached.is_file():
        found = torch.from_numpy(np.load(cached))
    else:
        what = f"Real images ({split})"
        found = _vectors(read, lambda part: data.images(part, device), rows[order], what)
        try:
            with replacing(cached) as partial, partial.open("wb") as file:
                np.save(file, found.numpy())
        except OSError as error:  # of somebody else's disk, or a full one
            log.warning("Not kept for the next time: %s", error)
    return found[torch.from_numpy(np.argsort(order))]


# ---------------------------------------------------------------------- scores


def _scores(cfg: DictConfig, read: "Extractor", real: "Tensor", made: "Tensor") -> dict[str, Any]:
    """By metric: a value with its standard error."""
    from facegan.metrics.frechet import frechet_distance, moments
    from facegan.metrics.kernel import kernel_distance
    from facegan.metrics.manifold import manifold

    scores: dict[str, Any] = {}
    if "fd" in cfg.metrics:
        reference = moments(real.split(ROWS))
        value = frechet_distance(reference, moments(made.split(ROWS)))
        halves = [moments(half.split(ROWS)) for half in made.chunk(2)]
        enough = min(half.count for half in halves) > made.shape[1]
        split = [frechet_distance(reference, half) for half in halves] if enough else []
        # Two halves are biased alike: what they differ by is noise, of half as many images.
        error = abs(split[0] - split[1]) / 2 if split else None
        scores[read.metric("fd")] = {"value": value, "error": error}
    if "kd" in cfg.metrics:
        value, deviation = kernel_distance(
            real, made, cfg.kid_subsets, cfg.kid_subset_size, seed=cfg.seed
        )
        error = deviation / cfg.kid_subsets**0.5
        scores[read.metric("kd")] = {"value": value, "error": error, "deviation": deviation}
    if "prdc" in cfg.metrics:
        count = min(len(real), len(made))  # reach depends on how many there are of each kind
        found = manifold(real[:count], made[:count])
        for name, value in vars(found).items():
            error = None if name == "density" else (value * (1 - value) / count) ** 0.5
            scores[read.metric(name)] = {"value": value, "error": error, "n": count}
    return scores


def _sliced(
    cfg: DictConfig,
    data: "ImageDataModule",
    rows: "np.ndarray",
    generated: Callable[["np.ndarray"], "Tensor"],
    numbers: "np.ndarray",
) -> dict[str, Any]:
    import numpy as np
    import torch

    from facegan.metrics.sliced import patches, sliced_wasserstein

    count = min(len(rows), len(numbers), SWD_IMAGES)
    parts = np.array_split(np.arange(count), -(-count // 64))
    real = torch.cat([data.images(rows[part]) for part in parts])
    made = torch.cat([generated(numbers[part]).cpu() for part in parts])
    ours, theirs = patches(made, cfg.seed), patches(real, cfg.seed + 1)
    values = {size: sliced_wasserstein(theirs[size], ours[size], cfg.seed) for size in ours}
    scores = {
        f"swd/{size}": {"value": value, "error": None, "n": count} for size, value in values.items()
    }
    mean = float(np.mean(list(values.values())))
    return {"swd": {"value": mean, "error": None, "n": count}, **scores}


def _draw_nearest(
    copies: "Memory",
    data: "ImageDataModule",
    rows: "np.ndarray",
    generated: Callable[["np.ndarray"], "Tensor"],
    numbers: "np.ndarray",
    out: Path,
) -> None:
    """``nearest.png``: above, the generated images most like a copy; below, the real ones."""
    import torch

    from facegan import media

    most = copies.ratio.argsort()[:SHOWN].numpy()
    above = media.to_uint8(generated(numbers[most]).cpu())
    below = data.raw_images(rows[copies.row.numpy()[most]])
    media.save_png(media.grid(torch.cat([above, below]), len(most)), out / "nearest.png")


def _worded(score: dict[str, Any]) -> str:
    text = f"{score['value']:.4g}"
    if score["error"] is not None:
        text += f" ± {score['error']:.2g}"
    if "copier" in score:
        found = "it repeats training images" if score["copier"] else "no sign of copying"
        text = f"{score['value']:.1%} look like copies, 1 % by chance: {found}"
    return text


def main() -> None:
    config.run(evaluate, "evaluate", config.with_data_of_the_run)


if __name__ == "__main__":
    main()
