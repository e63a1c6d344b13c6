"""How good are the faces, as numbers: ``python -m facegan.evaluate ckpt=RUN_DIR``."""

import hashlib
import logging
import shlex
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf

from facegan import __version__
from facegan.cli.inputs import build_data, image_shape, out_dir, pictures_in
from facegan.cli.run import run
from facegan.cli.run_data import settings_of_data, with_data_of_the_run
from facegan.errors import expect, expect_list
from facegan.files import expect_writable, write_json
from facegan.run_dir import run_dir_of

if TYPE_CHECKING:
    import numpy as np
    import torch
    from torch import Tensor

    from facegan.data.module import ImageDataModule
    from facegan.quality.ruler import Ruler
    from facegan.quality.scores import Result
    from facegan.quality.settings import Settings
log = logging.getLogger(__name__)

SHOWN = 64  # images in generated.png
CERTAIN = 0.05  # probability of calling any of two equal generators' scores different


@dataclass
class Subject:
    """What is evaluated: ``images_of(numbers)``, and what ``evaluation.json`` says of it."""

    name: str
    images_of: Callable[["np.ndarray"], "Tensor"]
    numbers: "np.ndarray"
    device: "torch.device"
    out: Path
    facts: dict[str, Any]


def evaluate(cfg: DictConfig) -> None:
    """Score generated images against real ones, or two generators against each other."""
    given = sum(cfg[key] is not None for key in ("ckpt", "samples", "compare"))
    expect(
        given == 1,
        "Say what to evaluate: ckpt=FILE or RUN_DIR, samples=DIR, or compare=[RUN_A,RUN_B].",
    )
    settings = _settings(cfg)
    if cfg.compare is not None:
        expect_list("compare", cfg.compare, "[RUN_A,RUN_B]")
        expect(len(cfg.compare) == 2, f"compare takes two runs, not {len(cfg.compare)}.")
        _compare(cfg, settings)
        return
    from facegan.quality import report as quality_report

    subject, data = _pictures(cfg) if cfg.samples is not None else _generator(cfg, cfg.ckpt)
    ruler = _ruler(settings, data, subject)
    expect_writable(subject.out)
    result = _measure(ruler, subject)
    log.info("%s:\n%s", _against(ruler, subject), quality_report.table(result.scores))
    _write(ruler, subject, result)
    log.info("Everything is in %s", subject.out)


def _settings(cfg: DictConfig) -> "Settings":
    from facegan.quality.settings import Settings

    names = ("metrics", "n", "real", "split", "extractor", "kid_subsets", "kid_subset_size", "seed")
    plain: Any = OmegaConf.to_container(cfg, resolve=True)
    return Settings(**{name: plain[name] for name in names}, prefix="")


def _ruler(settings: "Settings", data: "ImageDataModule", subject: Subject) -> "Ruler":
    from dataclasses import replace

    from facegan.quality.ruler import Ruler

    return Ruler(replace(settings, n=len(subject.numbers)), data, subject.device)


def _measure(ruler: "Ruler", subject: Subject) -> "Result":
    vectors = ruler.vectors(subject.images_of, subject.numbers)
    return ruler.scores(vectors, subject.images_of, subject.numbers)


def _write(ruler: "Ruler", subject: Subject, result: "Result") -> None:
    """``evaluation.json``, with pictures of what was measured."""
    from facegan.pictures.scaling import to_uint8
    from facegan.pictures.sheets import grid, save_png
    from facegan.quality import report as quality_report

    network = {"name": ruler.extractor.name, "weights": ruler.extractor.key}
    scores = {name: score.content() for name, score in result.scores.items()}
    real = {"split": ruler.settings.split, "real": len(ruler.rows), "data": ruler.data.name}
    real["store"] = ruler.data.store.path.name
    facts = {**subject.facts, "seed": ruler.settings.seed, **real}
    write_json(subject.out / "evaluation.json", {**facts, "extractor": network, **scores})
    quality_report.write(result, subject.images_of, subject.numbers, ruler.data, subject.out)
    shown = to_uint8(subject.images_of(subject.numbers[:SHOWN]).cpu())
    save_png(grid(shown), subject.out / "generated.png")


def _against(ruler: "Ruler", subject: Subject) -> str:
    real = f"{len(ruler.rows):,} real images of {ruler.data.name}"
    return f"{len(subject.numbers):,} generated against {real}"


def _facts() -> dict[str, Any]:
    versions = {"facegan": __version__}
    for package in ("torch", "torchvision", "torchmetrics", "torch-fidelity"):
        with suppress(PackageNotFoundError):  # the last is optional
            versions[package] = version(package)
    command = shlex.join(["python", "-m", "facegan.evaluate", *sys.argv[1:]])
    return {"versions": versions, "command": command}


def _generator(cfg: DictConfig, ckpt: object) -> tuple[Subject, "ImageDataModule"]:
    """The averaged generator of a checkpoint, and the data of its run."""
    import numpy as np

    from facegan.gan.checkpoint import checkpoint_file, load_gan
    from facegan.gan.latents import sample_latents

    path = checkpoint_file(str(ckpt))
    gan = load_gan(path, cfg.device)
    z = sample_latents(cfg.n, gan.settings.latent_dim, cfg.seed)
    run_dir = run_dir_of(path)
    facts = _facts() | {
        "checkpoint": str(path),
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "images_seen": gan.images_seen,
        "latent_dim": gan.settings.latent_dim,
        "n": cfg.n,
    }
    subject = Subject(
        name=run_dir.name if path.stem == "last" else f"{run_dir.name}/{path.stem}",
        images_of=lambda numbers: gan.sample(z[numbers]),
        numbers=np.arange(cfg.n),
        device=gan.device,
        out=out_dir(cfg, run_dir / "evaluation" / path.stem),
        facts=facts,
    )
    return subject, build_data(cfg, gan.settings)


def _pictures(cfg: DictConfig) -> tuple[Subject, "ImageDataModule"]:
    """A directory of pictures, by any generator."""
    import numpy as np

    from facegan.devices import usable_device

    hp = image_shape(cfg, "samples=DIR")
    folder = Path(str(cfg.samples)).expanduser()
    expect(folder.is_dir(), f"samples={folder} is not a directory.")
    data = build_data(cfg, hp)
    pictures = pictures_in(folder, cfg, hp, "samples")
    there = len(pictures.store)
    device = usable_device(cfg.device)
    numbers = np.random.default_rng(cfg.seed).permutation(there)[: cfg.n]
    subject = Subject(
        name=folder.name,
        images_of=partial(pictures.images, device=device),
        numbers=numbers,
        device=device,
        out=out_dir(cfg, folder.parent / f"{folder.name}_evaluation"),
        facts=_facts() | {"samples": str(folder), "n": len(numbers), "of": there},
    )
    return subject, data


def _compare(cfg: DictConfig, settings: "Settings") -> None:
    """Two generators on the same latents, and whether their scores differ by more than noise."""
    from facegan.pictures.sheets import save_png
    from facegan.quality import report as quality_report
    from facegan.quality.metrics.uncertainty import paired_difference

    (first, data), (second, theirs) = (_generator(cfg, ckpt) for ckpt in cfg.compare)
    shapes = [(part.image_size, part.channels) for part in (data, theirs)]
    expect(
        shapes[0] == shapes[1],
        f"{cfg.compare[0]} draws {shapes[0][0]} px with {shapes[0][1]} channels, {cfg.compare[1]} "
        f"{shapes[1][0]} px with {shapes[1][1]}: they cannot be compared.",
    )
    latents = [subject.facts["latent_dim"] for subject in (first, second)]
    expect(
        latents[0] == latents[1],
        f"{cfg.compare[0]} has {latents[0]} latent dimensions, {cfg.compare[1]} {latents[1]}: they "
        "cannot be given the same latents. Evaluate each with ckpt= instead.",
    )
    if first.name == second.name:  # jobs of two sweeps
        first.name, second.name = map(str, cfg.compare)
    out = out_dir(cfg, first.out / f"against_{second.name.replace('/', '_')}")
    first.out, second.out = out / "first", out / "second"  # each keeps its own evaluation
    _warn_of_other_data(first, second)
    ruler = _ruler(settings, data, first)
    expect_writable(out)
    results = []
    for subject in (first, second):
        results.append(_measure(ruler, subject))
        _write(ruler, subject, results[-1])
    ours, others = (result.scores for result in results)
    threshold = CERTAIN / len(ours)
    rows, lines = {}, [f"  {'':<24}{first.name:>14}{second.name:>14}{'difference':>20}"]
    for name in ours:
        a, b = ours[name], others[name]
        difference = b.value - a.value
        error, p = paired_difference(a.estimate, b.estimate)
        rows[name] = {
            "first": a.value,
            "second": b.value,
            "difference": difference,
            "error": error,
            "p": p,
            "differs": p is not None and p < threshold,
            "better": _better(name, difference) if p is not None and p < threshold else None,
        }
        lines.append(
            f"  {name:<24}{a.value:>14.4g}{b.value:>14.4g}{difference:>+12.3g}"
            + (" ± ?" if error is None else f" ± {error:.2g}")
            + f"  {_verdict(rows[name], first.name, second.name)}"
        )
    named = {"first": first.facts, "second": second.facts, "level": threshold}
    write_json(out / "comparison.json", {**named, **rows})
    sheet = quality_report.pairs(first.images_of, second.images_of, (first.name, second.name))
    save_png(sheet, out / "comparison.png")
    log.info(
        "%s, the same latents for both:\n%s\nErrors are of the choice of images alone: the same "
        "training with another seed mostly differs by more.\nEverything is in %s",
        *(_against(ruler, first), "\n".join(lines), out),
    )


def _warn_of_other_data(first: Subject, second: Subject) -> None:
    ours, theirs = (
        settings_of_data(Path(subject.facts["checkpoint"])) for subject in (first, second)
    )
    if ours is None or theirs is None:
        return
    keys = [f"dataset.{key}" for key in ours if ours[key] != theirs.get(key)]
    if keys:
        log.warning(
            "%s was trained on other data (%s): both are measured against those of %s.",
            *(second.name, ", ".join(keys), first.name),
        )


def _better(name: str, difference: float) -> str | None:
    from facegan.quality.names import better

    direction = better(name)
    if direction is None:
        return None
    return "second" if (difference < 0) == (direction == "min") else "first"


def _verdict(row: dict[str, Any], first: str, second: str) -> str:
    if row["p"] is None:
        return "too few images to tell"
    if not row["differs"]:
        return "within the noise" if row["p"] >= CERTAIN else "hardly more than noise"
    if row["better"] is None:
        return "they differ"
    return f"{second if row['better'] == 'second' else first} is better"


def main() -> None:
    run(evaluate, "evaluate", with_data_of_the_run)


if __name__ == "__main__":
    main()
