"""Tell faces apart by what a discriminator has learned: ``python -m facegan.classify ckpt=...``.

Linear probes on its frozen features, fitted on train, regularised on val, scored on test, beside
references: the commonest answer, the same probe on pixels and on an untrained discriminator, and a
network of the same size trained end to end.
"""

import hashlib
import logging
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig

from facegan.cli.inputs import build_data, image_shape, out_dir, pictures_in
from facegan.cli.run import run
from facegan.cli.run_data import with_data_of_the_run
from facegan.errors import (
    expect,
    expect_int,
    expect_list,
    expect_number,
    expect_one_of,
    expect_seed,
)
from facegan.files import replacing, write_csv
from facegan.run_dir import last_checkpoint, run_dir_of

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor, nn

    from facegan.data.module import ImageDataModule
    from facegan.features.classifier import Classifier
    from facegan.features.stream import Images
    from facegan.gan.gan import GAN
    from facegan.probes.scores import Scores
    from facegan.probes.task import Problem
log = logging.getLogger(__name__)

REFERENCES = ("majority", "pixels", "untrained", "cnn")
READ = "features of D"  # what the probe itself is called in tables


def classify(cfg: DictConfig) -> None:
    """Do what ``cfg.classify`` asks for and write tables and pictures into ``cfg.out``."""
    _check_values(cfg)
    if cfg.ckpt is None:
        _without_checkpoint(cfg)
        return
    from facegan.features.reading import reader
    from facegan.gan.checkpoint import load_gan

    gan, path = load_gan(cfg.ckpt, cfg.device)
    name = path.stem if cfg.classify.probe == "logistic" else f"{path.stem}_{cfg.classify.probe}"
    out = out_dir(cfg, run_dir_of(path) / "classify" / name)
    if cfg.label is not None:
        _label(cfg, gan.settings, out)
        return
    if cfg.classify.layers is not None:
        reader("features", gan.discriminator, list(cfg.classify.layers))
    data = build_data(cfg, gan.settings)
    task = _task_of(data, cfg)
    if cfg.classify.curve:
        _curve(cfg, gan, path, data, task, out)
    elif cfg.classify.probe == "cnn":
        _cnn_alone(cfg, gan.settings, gan.device, data, task, out)
    else:
        _probe(cfg, gan, data, task, out)


def _without_checkpoint(cfg: DictConfig) -> None:
    """The network of its own needs nothing but the data."""
    from omegaconf import OmegaConf

    from facegan.gan.checkpoint import usable_device

    shape = image_shape(cfg, "classify.probe=cnn and no checkpoint")
    hp = OmegaConf.create({**shape, "width_d": 64, "blocks": None})  # as conf/model has them
    data = build_data(cfg, hp)
    out = out_dir(cfg, data.store.path / "classify")
    _cnn_alone(cfg, hp, usable_device(cfg.device), data, _task_of(data, cfg), out)


def _check_values(cfg: DictConfig) -> None:
    chosen, cnn = cfg.classify, cfg.cnn
    expect(
        cfg.ckpt is not None or (chosen.probe == "cnn" and cfg.label is None),
        "Say whose features to use: ckpt=FILE or ckpt=RUN_DIR.",
    )
    expect_one_of("classify.probe", chosen.probe, ("logistic", "svm", "cnn"))
    expect_list("classify.references", chosen.references, "[majority,pixels]")
    for reference in chosen.references:
        expect_one_of("classify.references", reference, REFERENCES)
    expect_list("classify.labels", chosen.labels, "[100,1000]")
    for count in chosen.labels:
        expect_int("classify.labels", count, at_least=2)
    expect_int("classify.components", chosen.components, at_least=1)
    expect_int("classify.bootstrap", chosen.bootstrap, at_least=2)
    expect_int("n", cfg.n, at_least=1)
    expect_one_of("classify.curve", chosen.curve, (True, False))
    expect(
        not (chosen.curve and chosen.probe == "cnn"),
        "classify.curve=true follows the discriminator: classify.probe=cnn has none; choose "
        "logistic or svm.",
    )
    expect_int("cnn.max_epochs", cnn.max_epochs, at_least=1)
    expect_int("cnn.patience", cnn.patience, at_least=1)
    expect_number("cnn.lr", cnn.lr, low=1e-9)
    expect_one_of("cnn.weighting", cnn.weighting, ("none", "balanced"))
    expect_seed("seed", cfg.seed)
    for key in ("attributes", "layers"):
        if chosen[key] is not None:
            expect_list(f"classify.{key}", chosen[key], "[Smiling]" if key[0] == "a" else "[3,4]")


@dataclass(frozen=True)
class Task:
    """Rows of train (shuffled), val and test, one after the other, with what there is to tell."""

    problem: "Problem"
    columns: list[int]
    rows: "np.ndarray"
    targets: "np.ndarray"
    train: slice
    val: slice
    test: slice


def _task_of(data: "ImageDataModule", cfg: DictConfig) -> Task:
    import numpy as np

    from facegan.data.labels import choose_labels
    from facegan.probes.task import problem_of

    store = data.store
    parts = [data.subset(split, seed=cfg.seed) for split in ("train", "val", "test")]
    rows = np.concatenate(parts)
    chosen = None if cfg.classify.attributes is None else list(cfg.classify.attributes)
    labels = choose_labels(
        "classify.attributes",
        chosen,
        store.label_names,
        store.labels[rows].astype(np.int64),
        store.class_names,
    )
    problem, targets = problem_of(labels.names, labels.values, store.class_names)
    first, second = len(parts[0]), len(parts[0]) + len(parts[1])
    return Task(
        problem,
        [store.label_names.index(name) for name in labels.names],
        rows,
        targets,
        slice(0, first),
        slice(first, second),
        slice(second, len(rows)),
    )


def _facts(cfg: DictConfig, task: Task) -> dict[str, Any]:
    """What the numbers rest on, for ``scores.json``."""
    sizes = {name: getattr(task, name) for name in ("train", "val", "test")}
    return {
        "checkpoint": str(cfg.ckpt),
        "probe": cfg.classify.probe,
        **{name: part.stop - part.start for name, part in sizes.items()},
    }


def _probe(cfg: DictConfig, gan: "GAN", data: "ImageDataModule", task: Task, out: Path) -> None:
    from facegan.probes import report as probe_report
    from facegan.probes.scores import majority, score

    results: dict[str, dict[str, Scores]] = {}
    seed, labelled = cfg.seed, task.train.stop
    truth = task.targets[task.test]
    if "majority" in cfg.classify.references:
        guess = majority(task.targets[task.train], task.problem, len(truth))
        results["majority"] = score(guess, truth, task.problem, cfg.classify.bootstrap, seed)
    efficiency: list[dict[str, Any]] = []
    for name in ("pixels", "untrained", READ):
        if name != READ and name not in cfg.classify.references:
            continue
        network: nn.Module | None = None if name == "pixels" else gan.discriminator
        if name == "untrained":
            network = _untrained(gan, seed)
        points = _points(cfg, data, task, network, gan.device, name)
        for count in [*sorted({n for n in cfg.classify.labels if n < labelled}), labelled]:
            log.info("%s: probe on %s labelled images …", name, f"{count:,}")
            answers, results[name] = _probed(cfg, points, task, count)
            overall = probe_report.overall(results[name])
            efficiency.append({"reads": name, "labels": count, **probe_report.flat(overall)})
    results = {READ: results.pop(READ), **results}  # answers are its own, too: it came last
    probe_report.efficiency(efficiency, out)
    probe_report.confusion(answers, truth, task.problem, out)
    if "cnn" in cfg.classify.references:
        probe_report.results(results, _facts(cfg, task), out)  # not to be lost meanwhile
        results["cnn"] = _cnn_scores(cfg, gan.settings, gan.device, data, task, out)
    probe_report.results(results, _facts(cfg, task), out)


def _probed(
    cfg: DictConfig, points: "Tensor", task: Task, count: int
) -> tuple["np.ndarray", dict[str, "Scores"]]:
    """Logits on test of a probe fitted to the first ``count`` of train, and their scores."""
    import torch

    from facegan.probes.linear import fit_probe
    from facegan.probes.scores import score

    train, val = (torch.from_numpy(task.targets[part]) for part in (task.train, task.val))
    probe = fit_probe(
        points[task.train][:count],
        train[:count],
        (points[task.val], val),
        task.problem.heads,
        cfg.classify.probe,
    )
    logits = probe(points[task.test]).detach().numpy()
    truth, draws = task.targets[task.test], cfg.classify.bootstrap
    return logits, score(logits, truth, task.problem, draws, cfg.seed)


def _untrained(gan: "GAN", seed: int) -> "nn.Module":
    """A discriminator of the same shape that has learned nothing."""
    import torch

    from facegan.gan.gan import GAN

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return GAN(**dict(gan.hparams)).discriminator.to(gan.device)


def _points(
    cfg: DictConfig,
    data: "ImageDataModule",
    task: Task,
    network: "nn.Module | None",
    device: Any,
    name: str,
) -> "Tensor":
    """Principal components of all rows, measured on train; of pixels where there is no network."""
    from facegan.features.reading import calibrated, reader
    from facegan.features.reduction import FIT_ROWS, reduce
    from facegan.features.stream import stream, with_progress

    layers = None if cfg.classify.layers is None else list(cfg.classify.layers)
    images_of = partial(data.images, device=device)
    if network is not None:
        network = calibrated(network, images_of, task.rows[task.train])
    read = reader("pixels" if network is None else "features", network, layers)
    vectors = stream(read, images_of, task.rows)
    chunks = with_progress(vectors, task.rows, f"Reading {name}")
    fitted = min(FIT_ROWS, task.train.stop)  # on training images alone
    _, points = reduce(
        chunks,
        len(task.rows),
        cfg.classify.components,
        whiten=False,
        seed=cfg.seed,
        fit_rows=fitted,
    )
    return points


def _cnn_alone(
    cfg: DictConfig, hp: Any, device: Any, data: "ImageDataModule", task: Task, out: Path
) -> None:
    from facegan.probes import report as probe_report

    scores = _cnn_scores(cfg, hp, device, data, task, out)
    probe_report.results({"cnn": scores}, _facts(cfg, task), out)


def _cnn_scores(
    cfg: DictConfig, hp: Any, device: Any, data: "ImageDataModule", task: Task, out: Path
) -> dict[str, "Scores"]:
    from facegan.features.stream import read_all
    from facegan.probes import report as probe_report
    from facegan.probes.scores import score

    network = _cnn(cfg, hp, device, data, task, out)
    images_of = partial(data.images, device=network.device)
    logits = read_all(network.logits, images_of, task.rows[task.test], "Test images")
    answers = logits.numpy()
    truth = task.targets[task.test]
    if cfg.classify.probe == "cnn":
        probe_report.confusion(answers, truth, task.problem, out)
    return score(answers, truth, task.problem, cfg.classify.bootstrap, cfg.seed)


def _cnn(
    cfg: DictConfig, hp: Any, device: Any, data: "ImageDataModule", task: Task, out: Path
) -> "Classifier":
    """The network for this task, trained first if there is none; or the one in ``cnn.ckpt``.

    Where it was asked for (``probe=cnn``) it is kept beside the packed images, as the ruler that
    all runs on them are measured with; a mere reference is kept in ``out``.
    """
    import pytorch_lightning as pl

    from facegan.features.classifier import load_classifier
    from facegan.features.extractors import NETWORKS
    from facegan.probes.network import train_classifier

    if cfg.cnn.ckpt:
        return _given_cnn(cfg, hp, device, task)
    made_from = _made_from(cfg, hp, data, task)
    identity = hashlib.sha256(f"{list(task.problem.names)} {made_from}".encode()).hexdigest()[:12]
    ruler, reference = data.store.path / NETWORKS / f"{identity}.ckpt", out / f"cnn_{identity}.ckpt"
    path = ruler if cfg.classify.probe == "cnn" else reference
    there = next((known for known in (ruler, reference) if known.is_file()), None)
    if there is None:
        pl.seed_everything(cfg.seed, workers=True, verbose=False)
        network = _untrained_cnn(cfg, hp, task, made_from)
        log.info("Training a network of D's size on %s images …", f"{task.train.stop:,}")
        train_classifier(network, data, path, device, cfg.cnn.max_epochs, cfg.cnn.patience)
        log.info("The network is %s", path)
        return load_classifier(path, device)
    if path == ruler != there:
        with replacing(ruler) as partial:
            shutil.copy(there, partial)
    log.info("Using the network in %s", there)
    return load_classifier(there, device)


def _given_cnn(cfg: DictConfig, hp: Any, device: Any, task: Task) -> "Classifier":
    from facegan.features.classifier import load_classifier

    found = load_classifier(Path(str(cfg.cnn.ckpt)), device)
    classes = None if task.problem.classes is None else list(task.problem.classes)
    theirs = [found.settings[key] for key in ("names", "classes", "image_size", "channels")]
    expect(
        theirs == [list(task.problem.names), classes, hp.image_size, hp.channels],
        f"{cfg.cnn.ckpt} tells {', '.join(found.settings.names)} at {found.settings.image_size} px "
        f"with {found.settings.channels} channels, not what is asked for here.",
    )
    return found


def _made_from(cfg: DictConfig, hp: Any, data: "ImageDataModule", task: Task) -> str:
    """Data and settings that determine the network, beside the names of what it tells."""
    settings = ", ".join(f"{key}={value}" for key, value in cfg.cnn.items() if key != "ckpt")
    made_from = f"{data.store.path.name}, {len(task.rows):,} images, seed={cfg.seed}, {settings}"
    made_from += f", width={hp.width_d}, blocks={hp.blocks}"
    return made_from + f", batch_size={data.batch_size_on(1)}, flip={data.flip}"


def _untrained_cnn(cfg: DictConfig, hp: Any, task: Task, made_from: str) -> "Classifier":
    import torch

    from facegan.features.classifier import Classifier, balancing

    problem, targets = task.problem, torch.from_numpy(task.targets[task.train])
    multiclass = problem.classes is not None
    prevalence = (
        torch.bincount(targets, minlength=problem.heads) / len(targets)
        if multiclass
        else targets.float().mean(0)
    )
    balanced = cfg.cnn.weighting == "balanced"
    return Classifier(
        hp.image_size,
        hp.channels,
        hp.width_d,
        list(problem.names),
        list(task.columns),
        prevalence.tolist(),
        classes=None if problem.classes is None else list(problem.classes),
        weights=balancing(prevalence, multiclass).tolist() if balanced else None,
        blocks=hp.blocks,
        lr=float(cfg.cnn.lr),
        made_from=made_from,
    )


def _curve(
    cfg: DictConfig, gan: "GAN", path: Path, data: "ImageDataModule", task: Task, out: Path
) -> None:
    """Probe and clusters of the untrained discriminator and of every checkpoint beside ``path``."""
    from facegan.clusters.kmeans import k_means
    from facegan.clusters.scores import scores as cluster_scores
    from facegan.clusters.settings import ClusterSettings
    from facegan.data.labels import Labels
    from facegan.gan.checkpoint import load_gan, read_checkpoint
    from facegan.probes import report as probe_report

    found = ((read_checkpoint(p)["images_seen"], p) for p in path.parent.glob("*.ckpt"))
    seen = {0: None} | dict(sorted(found))
    rows: list[dict[str, Any]] = []
    usual = ClusterSettings()
    labels = Labels(
        data.store.labels[task.rows[task.test]][:, task.columns],
        task.problem.names,
        data.store.class_names,
    )
    for images, file in seen.items():
        network = (
            _untrained(gan, cfg.seed)
            if file is None
            else load_gan(file, cfg.device)[0].discriminator
        )
        points = _points(cfg, data, task, network, gan.device, f"D after {images:,} images")
        _, scores = _probed(cfg, points, task, task.train.stop)
        white = points[task.test][:, : usual.components]
        white = (white - white.mean(0)) / white.std(0).clamp_min(1e-12)
        clusters = k_means(white.numpy(), usual.k, seed=cfg.seed)
        agreement = cluster_scores(white.numpy(), clusters, labels)
        nmi = {key: agreement[key] for key in agreement if key.startswith("nmi/")}
        overall = probe_report.overall(scores)
        rows.append({"images_seen": images, **probe_report.flat(overall), **nmi})
        log.info("%s images: accuracy %s", f"{images:,}", overall["accuracy"])
    probe_report.curve(rows, out)
    log.info("Curves are in %s", out)


def _label(cfg: DictConfig, hp: Any, out: Path) -> None:
    """Say what attributes pictures, or a generator's, have, beside those of the real images."""
    import numpy as np

    from facegan.features.classifier import load_classifier, predict
    from facegan.features.extractors import find_label_network
    from facegan.features.stream import read_all
    from facegan.gan.checkpoint import usable_device
    from facegan.probes import report as probe_report

    source = Path(str(cfg.label)).expanduser()
    expect(source.exists(), f"There is nothing at label={source}.")
    if cfg.cnn.ckpt:
        saved = Path(str(cfg.cnn.ckpt))
    else:
        data = build_data(cfg, hp)
        saved = find_label_network(
            data.store.path, cfg.classify.attributes or data.label_names, "cnn.ckpt"
        )
    network = load_classifier(saved, usable_device(cfg.device))
    names, images_of = _pictures(cfg, source, network)
    logits = read_all(network.logits, images_of, np.arange(len(names)), "Labelling")
    heads = network.settings.classes or network.settings.names
    found = predict(logits, network.settings.classes is not None).numpy()
    rows = [
        {"name": name, **dict(zip(heads, map(int, row), strict=True))}
        for name, row in zip(names, found, strict=True)
    ]
    write_csv(out / "labels.csv", ["name", *heads], rows)
    probe_report.prevalence(
        heads, found, network.seen_prevalence.cpu().numpy(), network.settings.prevalence, out
    )


def _pictures(
    cfg: DictConfig, source: Path, network: "Classifier"
) -> tuple[Sequence[str], "Images"]:
    """Names, and the function from their numbers to images, of a directory or of a generator."""
    from facegan.gan.checkpoint import load_gan
    from facegan.gan.latents import sample_latents

    hp = network.settings
    if source.is_file() or last_checkpoint(source).is_file():
        gan, _ = load_gan(source, cfg.device)
        expect(
            (gan.settings.image_size, gan.settings.channels) == (hp.image_size, hp.channels),
            f"{source} draws {gan.settings.image_size} px with {gan.settings.channels} channels, "
            f"but the network was trained on {hp.image_size} px with {hp.channels}.",
        )
        z = sample_latents(cfg.n, gan.settings.latent_dim, cfg.seed)
        names = [f"{number:06d}" for number in range(len(z))]
        return names, lambda numbers: gan.sample(z[numbers])
    data = pictures_in(source, cfg, hp, "labelled")
    return data.store.names, partial(data.images, device=network.device)


def main() -> None:
    run(classify, "classify", with_data_of_the_run)


if __name__ == "__main__":
    main()
