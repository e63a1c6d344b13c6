"""How good are generated images? The one evaluation core: training, ``facegan.evaluate``, sweeps.

Both kinds of images become vectors first, streamed and shared among devices; then every metric is
a number with an error, from vectors alone (or, where it needs no network, from a few images).
"""

import hashlib
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from facegan import features
from facegan.classifier import said
from facegan.errors import expect, expect_int, expect_list, expect_one_of, expect_seed
from facegan.extractors import Extractor, network_of
from facegan.extractors import extractor as extractor_of
from facegan.features import Ranks
from facegan.files import replacing
from facegan.metrics import METRICS, kernel, name_of
from facegan.metrics import memory as copies
from facegan.metrics.diversity import inception_scores, pair_similarities
from facegan.metrics.frechet import expect_nonsingular, frechet_distance, moments, together
from facegan.metrics.kernel import kernel_distance, squared_mmd
from facegan.metrics.manifold import expect_neighbours, manifold
from facegan.metrics.memory import Memory, memory
from facegan.metrics.sliced import patches, pyramid, sliced_wasserstein
from facegan.metrics.uncertainty import (
    GROUPS,
    draws_of_groups,
    draws_of_mean,
    groups,
    jackknife_error,
)

log = logging.getLogger(__name__)

SAME_AS = {"fid": "fd", "kid": "kd"}  # how the field calls them, with Inception
SWD_IMAGES = 2048  # at most, of each kind: their patches are held in memory
PAIRED_IMAGES = 1024  # at most, of each kind, for msssim
ROWS = 4096  # of vectors that are made float64 at a time

Images = Callable[[np.ndarray], Tensor]  # numbers of images to images in [-1, 1]


@dataclass(frozen=True)
class Settings:
    """What is measured, and how (``conf/quality``).

    Args:
        metrics: of ``facegan.metrics.METRICS``.
        n: images that are drawn.
        real: as many real ones, drawn once from ``split``; ``None``: all of it.
        split: ``train``, ``val`` or ``test``.
        extractor: its ``kind`` (``pixels``, ``cnn``, ``inception``, or a torchvision model) and
            ``weights``, a file; ``None`` for ``cnn``: the network that ``facegan.classify`` made
            for the data.
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
        expect_one_of(f"{key}split", self.split, ("train", "val", "test"))
        expect_list(f"{key}metrics", self.metrics, "[fd,prdc]")
        known = ", ".join(METRICS)
        expect(len(self.metrics) > 0, f"{key}metrics is empty: choose from {known}.")
        for metric in self.metrics:
            expect_one_of(f"{key}metrics", SAME_AS.get(metric, metric), METRICS)

    @property
    def chosen(self) -> set[str]:
        """The metrics by our own names."""
        return {SAME_AS.get(metric, metric) for metric in self.metrics}


@dataclass(frozen=True)
class Score:
    """A number, the images of each kind it is from, and its values with a tenth of them left out.

    A tenth of the images that are averaged over: generated ones, for recall and coverage real ones,
    and both for ``kd`` and ``swd``, which are means over tenths to begin with.

    ``more`` says what the number alone does not.
    """

    value: float
    n: int
    draws: Sequence[float] = ()
    more: dict[str, Any] = field(default_factory=dict)

    @property
    def error(self) -> float | None:
        """One standard error, by the choice of images."""
        return jackknife_error(self.draws)

    def content(self) -> dict[str, Any]:
        """To be saved."""
        own = {"value": self.value, "error": self.error, "n": self.n}
        return own | self.more | {"draws": list(self.draws)}


@dataclass
class Result:
    """Scores by their full names; what the memorisation test found, if it was asked for."""

    scores: dict[str, Score]
    memory: Memory | None = None
    known: np.ndarray | None = None  # rows of the images that memory searched

    def table(self) -> list[str]:
        """A line for each score."""
        return [f"  {name:<24}{_worded(name, score)}" for name, score in self.scores.items()]


@dataclass
class Vectors:
    """What an extractor has read: of generated images, of the real ones they are compared with, of
    the training images in the rows ``known``, and of those held out; of the generated and held-out
    ones also when mirrored, where training images are. Empty where not needed.
    """

    known: np.ndarray
    made: Tensor = field(default_factory=lambda: torch.zeros(0))
    real: Tensor = field(default_factory=lambda: torch.zeros(0))
    trained: Tensor = field(default_factory=lambda: torch.zeros(0))
    held_out: Tensor = field(default_factory=lambda: torch.zeros(0))
    made_mirrored: Tensor = field(default_factory=lambda: torch.zeros(0))
    held_out_mirrored: Tensor = field(default_factory=lambda: torch.zeros(0))


class Ruler:
    """An extractor with the real images of a data set: what generated ones are measured against.

    Raises InputError, before anything is read, where ``settings`` do not fit the data.
    """

    def __init__(self, settings: Settings, data: Any, device: torch.device) -> None:
        self.settings, self.data, self.device = settings, data, device
        chosen = settings.chosen
        self.rows = data.subset(settings.split, settings.real, settings.seed)
        self.held_out = np.concatenate([data.store.rows("val"), data.store.rows("test")])
        if "kd" in chosen:
            fewest = min(settings.n, len(self.rows))
            kernel.expect_enough(fewest, settings.kid_subset_size or 2, settings.prefix)
        if "new" in chosen:
            copies.expect_enough(len(self.held_out))
        expect(
            "msssim" not in chosen or min(settings.n, len(self.rows)) >= 2,
            "msssim compares pairs: it takes two images or more.",
        )
        if "prdc" in chosen:
            expect_neighbours(min(settings.n, len(self.rows)))
        kind, weights = settings.extractor["kind"], settings.extractor.get("weights")
        if kind == "cnn" and weights is None:
            weights = str(network_of(data.store.path, data.label_names, settings.prefix))
        self.read: Extractor = extractor_of(kind, weights, device, settings.prefix)
        if "fd" in chosen:
            one = self.read.read(data.images(self.rows[:1], device))
            size = self.read.features(one).shape[1]
            expect_nonsingular(min(settings.n, len(self.rows)), size)
        expect(
            "is" not in chosen or self.read.exclusive,
            f"The Inception Score needs a network that tells classes apart, not {self.read.name}: "
            "use extractor inception, or cnn on data whose label is one of many, like mnist.",
        )
        expect(
            "is" not in chosen or settings.n >= GROUPS,
            f"The Inception Score is a mean over {GROUPS} parts: {settings.n} images are too few.",
        )
        expect(
            "prevalence" not in chosen or len(self.read.names) > 0,
            "prevalence asks a network what the data's labels are: use extractor cnn.",
        )

    def names(self) -> list[str]:
        """The scores that will be measured."""
        swd: list[str] = []
        if "swd" in self.settings.chosen:
            levels = pyramid(torch.zeros(1, 1, self.data.image_size, self.data.image_size))
            swd = ["swd", *(f"swd/{level.shape[-1]}" for level in levels)]
        parts = {"prdc": ("precision", "recall", "density", "coverage"), "new": ("copies",)}
        asked = [metric for metric in METRICS if metric in self.settings.chosen and metric != "swd"]
        return [
            name_of(part, self.read.name) for name in asked for part in parts.get(name, (name,))
        ] + swd

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
        found = Vectors(self.data.subset("train", None, settings.seed))
        if chosen - {"swd", "msssim"}:
            found.made = self._vectors(images_of, numbers, "Generated images", ranks, quiet)
            found.real = self._real_vectors(self.rows, settings.split, ranks, quiet)
        if "new" in chosen:  # which the training images decide, whatever is compared with above
            known = found.known
            same = len(known) == len(self.rows) and settings.split == "train"
            found.trained = found.real if same else self._real_vectors(known, "train", ranks, quiet)
            shuffled = np.random.default_rng(settings.seed).permutation(self.held_out)
            held_out = shuffled[: copies.HELD_OUT]
            found.held_out = self._real_vectors(held_out, "held out", ranks, quiet)
            if self.data.flip:
                found.made_mirrored = self._vectors(
                    _mirrored(images_of), numbers, "Generated images, mirrored", ranks, quiet
                )
                found.held_out_mirrored = self._real_vectors(
                    held_out, "held out, mirrored", ranks, quiet, mirrored=True
                )
        return found

    def scores(self, vectors: Vectors, images_of: Images, numbers: np.ndarray) -> Result:
        """Score what :meth:`vectors` has read of ``images_of(numbers)``."""
        chosen = self.settings.chosen
        scores = self._of_vectors(vectors.real, vectors.made) if len(vectors.made) else {}
        if chosen & {"swd", "msssim"}:
            scores |= self._of_images(images_of, numbers)
        if "new" not in chosen:
            return Result(scores)
        of = self.read.features
        held_out, made = of(vectors.held_out), of(vectors.made)
        if len(vectors.made_mirrored):
            held_out = torch.stack([held_out, of(vectors.held_out_mirrored)], 1)
            made = torch.stack([made, of(vectors.made_mirrored)], 1)
        found = memory(of(vectors.trained), held_out, made)
        said_of_it = {"p": found.p, "copier": found.copier}
        scores[name_of("copies", self.read.name)] = Score(
            found.copies, len(vectors.made), draws_of_mean(found.suspect), said_of_it
        )
        return Result(scores, found, vectors.known)

    # ------------------------------------------------------------------ reading

    def _vectors(
        self, images_of: Images, rows: np.ndarray, what: str, ranks: Ranks | None, quiet: bool
    ) -> Tensor:
        stream = features.stream(self.read.read, images_of, rows, ranks)
        chunks = features.with_progress(stream, rows, what, quiet)
        return torch.cat([chunk.cpu() for chunk in chunks])

    def _real_vectors(
        self,
        rows: np.ndarray,
        what: str,
        ranks: Ranks | None,
        quiet: bool,
        mirrored: bool = False,
    ) -> Tensor:
        """Those of ``rows``, kept beside the packed images for the next time."""
        order = np.argsort(rows)  # what is kept does not depend on the order asked for
        identity = hashlib.sha256(rows[order].astype("<i8").tobytes()).hexdigest()[:12]
        directory = self.data.store.path / "vectors"
        how = "-mirrored" if mirrored else ""
        kept = directory / f"{self.read.name}-{self.read.key}-{identity}{how}.npy"
        found = _kept(kept, len(rows))
        there = torch.tensor(float(found is not None), device=self.device)
        if ranks is not None:  # all of them read, or none
            there = ranks.gather(there).min()
        if found is None or not there:

            def images_of(part: np.ndarray) -> Tensor:
                return self.data.images(part, self.device)

            read = _mirrored(images_of) if mirrored else images_of
            found = self._vectors(read, rows[order], f"Real images ({what})", ranks, quiet)
            if ranks is None or ranks.rank == 0:
                _keep(kept, found)
        return found[torch.from_numpy(np.argsort(order))]

    # ------------------------------------------------------------------ scores

    def _of_vectors(self, real: Tensor, made: Tensor) -> dict[str, Score]:
        settings, chosen, read = self.settings, self.settings.chosen, self.read
        logits, real_logits = read.logits(made), read.logits(real)
        made, real = read.features(made), read.features(real)
        found: dict[str, Score] = {}
        if "fd" in chosen:
            found["fd"] = _frechet(real, made)
        if "kd" in chosen:
            count = min(len(real), len(made))
            size = settings.kid_subset_size or min(1000, count)
            value, deviation = kernel_distance(
                real, made, settings.kid_subsets, size, seed=settings.seed
            )
            parts = groups(count) if count >= 2 * GROUPS else []
            draws = [squared_mmd(real[part], made[part]) for part in parts]
            more = {"deviation": deviation}
            found["kd"] = Score(value, len(made), draws_of_groups(draws) if draws else (), more)
        if "is" in chosen:
            scores = inception_scores(logits)
            found["is"] = Score(float(np.mean(scores)), len(made), draws_of_groups(scores))
        if "prdc" in chosen:
            count = min(len(real), len(made))  # reach depends on how many there are of each kind
            for name, values in vars(manifold(real[:count], made[:count])).items():
                found[name] = Score(float(values.mean()), count, draws_of_mean(values))
        if "prevalence" in chosen:
            found["prevalence"] = self._prevalence(real_logits, logits)
        return {name_of(name, read.name): score for name, score in found.items()}

    def _prevalence(self, real: Tensor, made: Tensor) -> Score:
        """Mean over all labels of how much more or less common each is: a share in [0, 1]."""
        ours, theirs = (said(part, self.read.exclusive).double() for part in (made, real))
        gaps = ours.mean(0) - theirs.mean(0)
        parts = groups(len(ours))
        without = [(ours.sum(0) - ours[g].sum(0)) / (len(ours) - len(ours[g])) for g in parts]
        draws = [float((share - theirs.mean(0)).abs().mean()) for share in without]
        shares = {
            name: {"real": float(theirs[:, i].mean()), "generated": float(ours[:, i].mean())}
            for i, name in enumerate(self.read.names)
        }
        return Score(float(gaps.abs().mean()), len(ours), draws, {"labels": shares})

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
            scores["msssim"] = Score(
                float(alike.mean()), len(alike), draws_of_mean(alike), {"real": usual}
            )
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
        with replacing(path, shared=True) as partial, partial.open("wb") as file:
            np.save(file, vectors.numpy())
    except OSError as error:  # of somebody else's disk, or a full one
        log.warning("Not kept for the next time: %s", error)


def _frechet(real: Tensor, made: Tensor) -> Score:
    reference = moments(real.split(ROWS))
    whole = moments(made.split(ROWS))
    value = frechet_distance(reference, whole)
    draws = []
    if len(made) - len(made) // GROUPS > made.shape[1] + 1:
        parts = [moments([made[part]]) for part in groups(len(made))]
        rest = [parts[:left] + parts[left + 1 :] for left in range(len(parts))]
        draws = [frechet_distance(reference, together(others)) for others in rest]
    return Score(value, len(made), draws)


def _sliced(real: Tensor, made: Tensor, seed: int) -> dict[str, Score]:
    ours, theirs = patches(made, seed), patches(real, seed + 1)
    scores = {}
    for size in ours:
        value = sliced_wasserstein(theirs[size], ours[size], seed)
        parts = groups(len(made)) if len(made) >= GROUPS else []
        each = len(ours[size]) // len(made)
        draws = [
            sliced_wasserstein(theirs[size][cut], ours[size][cut], seed)
            for cut in (slice(part.start * each, part.stop * each) for part in parts)
        ]
        scores[f"swd/{size}"] = Score(value, len(made), draws_of_groups(draws) if draws else ())
    levels = list(scores.values())
    draws = list(np.mean([score.draws for score in levels], 0)) if levels[0].draws else []
    mean = float(np.mean([score.value for score in levels]))
    return {"swd": Score(mean, len(made), draws), **scores}


def _worded(name: str, score: Score) -> str:
    if "copier" in score.more:
        found = "it repeats training images" if score.more["copier"] else "no sign of copying"
        return f"{score.value:.1%} look like copies, 1 % by chance: {found}"
    text = f"{score.value:.4g}"
    if score.error is not None:
        text += f" ± {score.error:.2g}"
    if "real" in score.more:
        text += f" (real images {score.more['real']:.4g})"
    if "labels" in score.more:
        shares = score.more["labels"]
        most = max(shares, key=lambda n: abs(shares[n]["generated"] - shares[n]["real"]))
        gap = shares[most]
        text += f" (most: {most} {gap['generated']:.1%}, real {gap['real']:.1%})"
    return text
