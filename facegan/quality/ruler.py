"""How good are generated images? The one evaluation core: training, ``facegan.evaluate``, sweeps.

Both kinds of images become vectors first, streamed and shared among devices; then every metric is
a number with an error, from vectors alone (or, where it needs no network, from a few images).
"""

import hashlib
import logging
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from facegan.errors import expect
from facegan.features.extractors import Extractor, load_extractor, network_of
from facegan.features.stream import BATCH, Images, Ranks, read_all
from facegan.files import replacing
from facegan.quality.metrics.diversity import inception_score, pair_similarities
from facegan.quality.metrics.frechet import expect_nonsingular
from facegan.quality.metrics.kernel import expect_subset_fits, kernel_distance
from facegan.quality.metrics.manifold import expect_neighbours
from facegan.quality.metrics.memorization import HELD_OUT, expect_held_out, memorization
from facegan.quality.metrics.sliced import pyramid
from facegan.quality.metrics.uncertainty import GROUPS, mean_estimate
from facegan.quality.names import METRICS, name_of
from facegan.quality.scores import Result, Score, _frechet, _manifold, _prevalence, _sliced
from facegan.quality.settings import Settings

log = logging.getLogger(__name__)

SWD_IMAGES = 2048  # at most, of each kind: their patches are held in memory
PAIRED_IMAGES = 1024  # at most, of each kind, for msssim
VECTORS_FORMAT = 2  # of the vectors that are kept: raised when they are read in another way


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
        read = partial(read_all, self.extractor.read, ranks=ranks, quiet=quiet)
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
            found = read_all(self.extractor.read, seen, rows, title, ranks, quiet)
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
        parts = np.array_split(np.arange(count), -(-count // BATCH))
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
