"""How good are generated images? The one evaluation core: training, ``facegan.evaluate``, sweeps.

Both kinds of images become vectors first, streamed and shared among devices; then every metric is
a number with an error, from vectors alone (or, where it needs no network, from a few images).
"""

import hashlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from facegan import features
from facegan.classifier import predict
from facegan.errors import expect, expect_int, expect_list, expect_one_of, expect_seed
from facegan.extractors import Extractor, load_extractor, network_of
from facegan.features import Images, Ranks
from facegan.files import replacing
from facegan.metrics import FIELD_NAMES, METRICS, name_of
from facegan.metrics.diversity import inception_score, pair_similarities
from facegan.metrics.frechet import expect_nonsingular, frechet_distance, merge, moments
from facegan.metrics.kernel import expect_subset_fits, kernel_distance
from facegan.metrics.manifold import expect_neighbours, manifold
from facegan.metrics.memorization import (
    HELD_OUT,
    Memorization,
    expect_held_out,
    memorization,
)
from facegan.metrics.sliced import patches, pyramid, sliced_wasserstein
from facegan.metrics.uncertainty import GROUPS, Estimate, groups, mean_estimate

log = logging.getLogger(__name__)

OWN_NAMES = {field: own for own, field in FIELD_NAMES.items()}
SWD_IMAGES = 2048  # at most, of each kind: their patches are held in memory
PAIRED_IMAGES = 1024  # at most, of each kind, for msssim
ROWS = 4096  # of vectors that are made float64 at a time
VECTORS_FORMAT = 2  # of the vectors that are kept: raised when they are read in another way


@dataclass(frozen=True)
class Settings:
    """What is measured, and how (``conf/quality``).

    Args:
        metrics: of ``facegan.metrics.METRICS``.
        n: images that are drawn.
        real: as many real ones, drawn once from ``split``; ``None``: all of it.
        split: ``train``, ``val``, ``test`` or ``all``.
        extractor: its ``kind`` (``pixels``, ``cnn``, ``inception``, or a torchvision model),
            ``weights``, a file; ``None`` for ``cnn``: the network that ``facegan.classify`` made
            for the data; and the ``layer``, for ``inception`` (see ``facegan.extractors``).
        kid_subsets, kid_subset_size: of the kernel distance; ``None``: 1000, or all if fewer.
        seed: of latents, and of the choice of images and subsets.
        prefix: of these keys, where a sentence names one.
    """

    metrics: Sequence[str] = ("fd", "prdc")
    n: int = 2000
    real: int | None = None
    split: str = "train"
    extractor: Mapping[str, Any] = field(default_factory=lambda: {"kind": "pixels"})
    kid_subsets: int = 100
    kid_subset_size: int | None = None
    seed: int = 0
    prefix: str = "quality."

    def __post_init__(self) -> None:
        key = self.prefix
        for name in ("n", "kid_subsets"):
            expect_int(f"{key}{name}", getattr(self, name), at_least=1)
        if self.real is not None:
            expect_int(f"{key}real", self.real, at_least=1)
        if self.kid_subset_size is not None:
            expect_int(f"{key}kid_subset_size", self.kid_subset_size, at_least=2)
        expect_seed(f"{key}seed", self.seed)
        expect_one_of(f"{key}split", self.split, ("train", "val", "test", "all"))
        expect_list(f"{key}metrics", self.metrics, "[fd,prdc]")
        known = ", ".join(METRICS)
        expect(len(self.metrics) > 0, f"{key}metrics is empty: choose from {known}.")
        for metric in self.metrics:
            expect_one_of(f"{key}metrics", OWN_NAMES.get(metric, metric), METRICS)
        given = self.extractor
        expect(
            isinstance(given, Mapping) and isinstance(given.get("kind"), str),
            f"{key}extractor must have a kind: set {key}extractor.kind=cnn, not {given!r}.",
        )
        unknown = sorted(set(given) - {"kind", "weights", "layer"})
        expect(not unknown, f"{key}extractor has a kind, weights and a layer, no {unknown}.")

    @property
    def chosen(self) -> set[str]:
        """The metrics by our own names."""
        return {OWN_NAMES.get(metric, metric) for metric in self.metrics}


@dataclass(frozen=True)
class Score:
    """A metric of ``n`` generated images; ``more`` says what the number alone does not."""

    estimate: Estimate
    n: int
    more: dict[str, Any] = field(default_factory=dict)

    @property
    def value(self) -> float:
        return self.estimate.value

    @property
    def error(self) -> float | None:
        """One standard error, by the choice of images; ``None`` where there are too few."""
        return self.estimate.error

    def content(self) -> dict[str, Any]:
        """To be saved."""
        own = {"value": self.value, "error": self.error, "n": self.n}
        return own | self.more | {"replicates": list(self.estimate.replicates)}


@dataclass
class Result:
    """Everything that was measured of one generator.

    Attributes:
        scores: by their full names.
        memorization: what the search for copies found, if it was asked for.
        known: rows of the training images (N,) that it searched.
    """

    scores: dict[str, Score]
    memorization: Memorization | None = None
    known: np.ndarray | None = None


def _none() -> Tensor:
    return torch.zeros(0)


@dataclass
class Vectors:
    """What an extractor has read: (N, d) each, and empty where it is not needed.

    Attributes:
        made: of the generated images.
        real: of those they are compared with.
        known: rows of the training images that copies are looked for among.
        trained: of these.
        held_out: of images that were not trained on.
        made_mirrored, held_out_mirrored: where training images are mirrored, too.
    """

    known: np.ndarray
    made: Tensor = field(default_factory=_none)
    real: Tensor = field(default_factory=_none)
    trained: Tensor = field(default_factory=_none)
    held_out: Tensor = field(default_factory=_none)
    made_mirrored: Tensor = field(default_factory=_none)
    held_out_mirrored: Tensor = field(default_factory=_none)


class Ruler:
    """An extractor with the real images of a data set: what generated ones are measured against.

    Raises InputError, before anything is read, where ``settings`` do not fit the data.
    """

    def __init__(self, settings: Settings, data: Any, device: torch.device) -> None:
        self.settings, self.data, self.device = settings, data, device
        chosen, prefix = settings.chosen, settings.prefix
        self.rows = data.subset(settings.split, settings.real, settings.seed)
        self.held_out = np.concatenate([data.store.rows("val"), data.store.rows("test")])
        fewest = min(settings.n, len(self.rows))
        if "kd" in chosen:
            expect_subset_fits(fewest, settings.kid_subset_size or 2, prefix)
        if "new" in chosen:
            expect_held_out(len(self.held_out))
        expect(
            "msssim" not in chosen or fewest >= 2,
            "msssim compares pairs: it takes two images or more.",
        )
        if "prdc" in chosen:
            expect_neighbours(fewest)
        self.extractor = self._load_extractor()
        if "fd" in chosen:
            one = self.extractor.read(data.images(self.rows[:1], device))
            expect_nonsingular(fewest, self.extractor.features(one).shape[1])
        expect(
            "is" not in chosen or self.extractor.multiclass,
            "The Inception Score needs a network that tells classes apart, not "
            f"{self.extractor.name}: set {prefix}extractor.kind=inception, or cnn on data whose "
            "label is one of many, like mnist.",
        )
        expect(
            "is" not in chosen or settings.n >= GROUPS,
            f"The Inception Score is a mean over {GROUPS} parts: {settings.n} images are too few.",
        )
        expect(
            "prevalence" not in chosen or len(self.extractor.names) > 0,
            "prevalence asks a network what the data's labels are: set "
            f"{prefix}extractor.kind=cnn.",
        )

    def _load_extractor(self) -> Extractor:
        data, given, prefix = self.data, self.settings.extractor, self.settings.prefix
        kind, weights = given["kind"], given.get("weights")
        if kind == "cnn" and weights is None:
            weights = str(
                network_of(
                    data.store.path,
                    data.label_names,
                    f"{prefix}extractor.weights",
                    f", or set {prefix}extractor.kind=pixels",
                )
            )
        found = load_extractor(kind, weights, self.device, prefix, given.get("layer"))
        expect(
            found.image_shape in (None, (data.channels, data.image_size)),
            f"The network in {prefix}extractor.weights={weights} was made for {found.image_shape} "
            f"(channels, pixels), and {data.name} has {(data.channels, data.image_size)}: make one "
            "with facegan.classify classify.probe=cnn for this data.",
        )
        return found

    def names(self) -> list[str]:
        """The scores that will be measured."""
        swd: list[str] = []
        if "swd" in self.settings.chosen:
            levels = pyramid(torch.zeros(1, 1, self.data.image_size, self.data.image_size))
            swd = ["swd", *(f"swd/{level.shape[-1]}" for level in levels)]
        parts = {"prdc": ("precision", "recall", "density", "coverage"), "new": ("copies",)}
        asked = [metric for metric in METRICS if metric in self.settings.chosen and metric != "swd"]
        return [
            name_of(part, self.extractor.name)
            for name in asked
            for part in parts.get(name, (name,))
        ] + swd

    # ------------------------------------------------------------------ reading

    def vectors(
        self,
        images_of: Images,
        numbers: np.ndarray,
        ranks: Ranks | None = None,
        quiet: bool = False,
    ) -> Vectors:
        """Read the generated images ``images_of(numbers)``, and real ones.

        Every one of ``ranks`` has to call it, and gets all of them.
        """
        settings, chosen = self.settings, self.settings.chosen
        read = partial(features.read_all, self.extractor.read, ranks=ranks, quiet=quiet)
        read_real = partial(self._read_real, ranks=ranks, quiet=quiet)
        found = Vectors(np.sort(self.data.subset("train")))
        if chosen - {"swd", "msssim"}:
            found.made = read(images_of, numbers, "Generated images")
            found.real = read_real(self.rows, settings.split)
        if "new" in chosen:  # which the training images decide, whatever is compared with above
            same = np.array_equal(found.known, np.sort(self.rows))
            found.trained = found.real if same else read_real(found.known, "train")
            shuffled = np.random.default_rng(settings.seed).permutation(self.held_out)
            found.held_out = read_real(shuffled[:HELD_OUT], "held out")
            if self.data.flip:
                found.made_mirrored = read(
                    _mirrored(images_of), numbers, "Generated images, mirrored"
                )
                found.held_out_mirrored = read_real(
                    shuffled[:HELD_OUT], "held out, mirrored", mirrored=True
                )
        return found

    def _read_real(
        self,
        rows: np.ndarray,
        what: str,
        ranks: Ranks | None,
        quiet: bool,
        mirrored: bool = False,
    ) -> Tensor:
        """Those of ``rows``, ascending, kept beside the packed images for the next time."""
        rows = np.sort(rows)
        identity = hashlib.sha256(rows.astype("<i8").tobytes()).hexdigest()[:12]
        name = f"{self.extractor.name}-{self.extractor.key}-{identity}-{VECTORS_FORMAT}"
        path = self.data.store.path / "vectors" / f"{name}{'-mirrored' if mirrored else ''}.npy"
        found = _kept(path, len(rows))
        there = torch.tensor(float(found is not None), device=self.device)
        if ranks is not None:  # all of them read, or none
            there = ranks.gather(there).min()
        if found is None or not there:
            images_of = partial(self.data.images, device=self.device)
            seen = _mirrored(images_of) if mirrored else images_of
            title = f"Real images ({what})"
            found = features.read_all(self.extractor.read, seen, rows, title, ranks, quiet)
            if ranks is None or ranks.rank == 0:
                _keep(path, found)
        return found

    # ------------------------------------------------------------------ scores

    def scores(self, vectors: Vectors, images_of: Images, numbers: np.ndarray) -> Result:
        """Score what :meth:`vectors` has read of ``images_of(numbers)``."""
        chosen, extractor = self.settings.chosen, self.extractor
        scores = self._of_vectors(vectors.real, vectors.made) if len(vectors.made) else {}
        if chosen & {"swd", "msssim"}:
            scores |= self._of_images(images_of, numbers)
        if "new" not in chosen:
            return Result(scores)
        held_out, made = extractor.features(vectors.held_out), extractor.features(vectors.made)
        if len(vectors.made_mirrored):
            held_out = torch.stack([held_out, extractor.features(vectors.held_out_mirrored)], 1)
            made = torch.stack([made, extractor.features(vectors.made_mirrored)], 1)
        found = memorization(extractor.features(vectors.trained), held_out, made)
        scores[name_of("copies", extractor.name)] = Score(
            mean_estimate(found.suspect), len(made), {"p": found.p, "copier": found.copier}
        )
        return Result(scores, found, vectors.known)

    def _of_vectors(self, real: Tensor, made: Tensor) -> dict[str, Score]:
        settings, chosen, extractor = self.settings, self.settings.chosen, self.extractor
        logits, real_logits = extractor.logits(made), extractor.logits(real)
        made, real = extractor.features(made), extractor.features(real)
        n = len(made)
        found: dict[str, Score] = {}
        if "fd" in chosen:
            found["fd"] = Score(_frechet(real, made), n)
        if "kd" in chosen:
            size = settings.kid_subset_size or min(1000, len(real), n)
            kd, deviation = kernel_distance(real, made, settings.kid_subsets, size, settings.seed)
            of = {"subsets": settings.kid_subsets, "subset_size": size, "deviation": deviation}
            found["kd"] = Score(kd, n, of)
        if "is" in chosen:
            found["is"] = Score(inception_score(logits), n)
        if "prdc" in chosen:
            found |= _manifold(real, made, settings.seed)
        if "prevalence" in chosen:
            found["prevalence"] = _prevalence(extractor, real_logits, logits)
        return {name_of(name, extractor.name): score for name, score in found.items()}

    def _of_images(self, images_of: Images, numbers: np.ndarray) -> dict[str, Score]:
        chosen, seed = self.settings.chosen, self.settings.seed
        most = SWD_IMAGES if "swd" in chosen else PAIRED_IMAGES
        count = min(len(self.rows), len(numbers), most)
        parts = np.array_split(np.arange(count), -(-count // features.BATCH))
        real = torch.cat([self.data.images(self.rows[part]) for part in parts])
        made = torch.cat([images_of(numbers[part]).cpu() for part in parts])
        scores: dict[str, Score] = {}
        if "swd" in chosen:
            scores |= _sliced(real, made, seed)
        if "msssim" in chosen:
            alike = pair_similarities(made[:PAIRED_IMAGES])
            usual = float(pair_similarities(real[:PAIRED_IMAGES]).mean())
            scores["msssim"] = Score(mean_estimate(alike), 2 * len(alike), {"real": usual})
        return scores


def _mirrored(images_of: Images) -> Images:
    return lambda numbers: images_of(numbers).flip(-1)


def _kept(path: Path, count: int) -> Tensor | None:
    try:
        vectors = torch.from_numpy(np.load(path))
    except (OSError, ValueError, EOFError):  # not there, or damaged
        return None
    return vectors if len(vectors) == count else None


def _keep(path: Path, vectors: Tensor) -> None:
    try:
        with replacing(path, shared=True) as partial_, partial_.open("wb") as file:
            np.save(file, vectors.numpy())
    except OSError as error:  # of somebody else's disk, or a full one
        log.warning("Not kept for the next time: %s", error)


# ---------------------------------------------------------------------- one metric each


def _frechet(real: Tensor, made: Tensor) -> Estimate:
    reference = moments(real.split(ROWS))
    value = frechet_distance(reference, moments(made.split(ROWS)))
    if len(made) - len(made) // GROUPS <= made.shape[1] + 1:
        return Estimate(value)
    parts = [moments([made[group]]) for group in groups(len(made))]
    rest = [parts[:left] + parts[left + 1 :] for left in range(len(parts))]
    return Estimate(value, [frechet_distance(reference, merge(others)) for others in rest])


def _manifold(real: Tensor, made: Tensor, seed: int) -> dict[str, Score]:
    """Of equally many of each kind: how far an image reaches depends on how many there are."""
    count = min(len(real), len(made))
    chosen = np.random.default_rng(seed).permutation(len(real))[:count]
    estimates = manifold(real[chosen], made[:count])
    return {name: Score(estimate, count) for name, estimate in estimates.items()}


def _prevalence(extractor: Extractor, real: Tensor, made: Tensor) -> Score:
    """Mean over all labels of how much more or less common each is: a share in [0, 1]."""
    ours, theirs = (predict(part, extractor.multiclass).double() for part in (made, real))
    gaps = ours.mean(0) - theirs.mean(0)
    without = [
        (ours.sum(0) - ours[group].sum(0)) / (len(ours) - len(ours[group]))
        for group in groups(len(ours))
    ]
    replicates = [float((share - theirs.mean(0)).abs().mean()) for share in without]
    estimate = Estimate(float(gaps.abs().mean()), replicates if len(ours) >= GROUPS else ())
    shares = {
        name: {"real": float(theirs[:, i].mean()), "generated": float(ours[:, i].mean())}
        for i, name in enumerate(extractor.names)
    }
    return Score(estimate, len(ours), {"labels": shares})


def _sliced(real: Tensor, made: Tensor, seed: int) -> dict[str, Score]:
    """Of every level of the pyramid, and their mean."""
    levels = {
        theirs.shape[-1]: sliced_wasserstein(patches(theirs, seed + 1), patches(ours, seed), seed)
        for theirs, ours in zip(pyramid(real), pyramid(made), strict=True)
    }
    mean = Estimate(
        float(np.mean([level.value for level in levels.values()])),
        np.mean([level.replicates for level in levels.values()], 0).tolist(),
    )
    by_level = {f"swd/{size}": Score(level, len(made)) for size, level in levels.items()}
    return {"swd": Score(mean, len(made)), **by_level}
