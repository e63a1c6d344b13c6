"""The real images that candidates are compared with, and how they are compared."""

from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from facegan.data.module import ImageDataModule
from facegan.devices import usable_device
from facegan.errors import InputError
from facegan.features.extractors import Extractor, Output, find_label_network, load_extractor
from facegan.features.stream import BATCH, Images, Ranks, read_all
from facegan.quality import scores
from facegan.quality.cache import VectorCache
from facegan.quality.metrics.frechet import expect_nonsingular
from facegan.quality.metrics.kernel import expect_subset_fits
from facegan.quality.metrics.manifold import expect_neighbours
from facegan.quality.metrics.memorization import HELD_OUT, expect_held_out, memorization
from facegan.quality.metrics.sliced import pyramid
from facegan.quality.metrics.uncertainty import GROUPS
from facegan.quality.names import METRICS, PIXEL_METRICS, SCORES, name_of
from facegan.quality.scores import QualityResult, QualityScore
from facegan.quality.settings import QualitySettings

SLICED_IMAGES = 2048  # of each kind at most: their patches are held in memory
PAIRED_IMAGES = 1024  # of each kind at most, for msssim


@dataclass(frozen=True)
class CopySearch:
    """Features for the search for copies; (·, 2, d) with mirror images where training flips."""

    train_rows: np.ndarray  # (N,) of the store
    train: Tensor  # (N, d)
    held_out: Tensor  # (K, d) or (K, 2, d)
    generated: Tensor  # (M, d) or (M, 2, d)


@dataclass(frozen=True)
class Vectors:
    """What the extractor has read; ``None``: not needed by the chosen metrics."""

    generated: Output | None = None
    real: Output | None = None
    copies: CopySearch | None = None


class ReferenceSet:
    """Real images with an extractor: measures generated images against them.

    Args:
        settings: ``n`` is how many generated images will be measured.
        data: whose images are the real ones.
        device: that images are read on.

    Attributes:
        rows: of the store, of the real images (N,).
        extractor: loaded and on ``device``.

    Raises:
        InputError: where ``settings`` do not fit the data, before images are read.
    """

    def __init__(
        self, settings: QualitySettings, data: ImageDataModule, device: torch.device | str
    ) -> None:
        self.settings, self.data, self.device = settings, data, usable_device(device)
        self._metrics = frozenset(settings.metrics)
        self.rows = data.subset(settings.split, settings.real, settings.seed)
        self._held_out = np.concatenate([data.store.rows("val"), data.store.rows("test")])
        self._check_counts()
        self.extractor = self._load_extractor()
        self._check_extractor()
        name = f"{self.extractor.name}-{self.extractor.key}"
        self._cache = VectorCache(data.store.path / "vectors", name)

    def names(self) -> list[str]:
        """The full names of the scores that will be measured."""
        chosen = [metric for metric in METRICS if metric in self._metrics and metric != "swd"]
        names = [
            name_of(score, self.extractor.name)
            for metric in chosen
            for score in SCORES.get(metric, (metric,))
        ]
        if "swd" in self._metrics:
            levels = pyramid(torch.zeros(1, 1, self.data.image_size, self.data.image_size))
            names += ["swd", *(f"swd/{level.shape[-1]}" for level in levels)]
        return names

    def vectors(
        self,
        images_of: Images,
        numbers: np.ndarray,
        ranks: Ranks | None = None,
        quiet: bool = False,
    ) -> Vectors:
        """Read the generated images ``images_of(numbers)``, and the real ones.

        Every one of ``ranks`` has to call it, and gets all vectors.
        """
        chosen = self._metrics - PIXEL_METRICS
        if not chosen:
            return Vectors()
        read = partial(self._read, ranks=ranks, quiet=quiet)
        generated = self.extractor.unpack(read(images_of, numbers, "Generated images"))
        real = None
        if chosen != {"new"}:
            real = self._read_real(self.rows, self.settings.split, ranks, quiet)
        if "new" not in chosen:
            return Vectors(generated, real)
        mirrored = None
        if self.data.flip:
            title = "Generated images, mirrored"
            mirrored = self.extractor.unpack(read(_mirrored(images_of), numbers, title))
        search = self._read_for_copies(generated, mirrored, ranks, quiet)
        return Vectors(generated, real, search)

    def scores(self, vectors: Vectors, images_of: Images, numbers: np.ndarray) -> QualityResult:
        """Score the generated images ``images_of(numbers)``, of which ``vectors`` were read."""
        measured: dict[str, QualityScore] = {}
        if vectors.real is not None and vectors.generated is not None:
            measured |= self._vector_scores(vectors.real, vectors.generated)
        if self._metrics & PIXEL_METRICS:
            measured |= self._pixel_scores(images_of, numbers)
        if (search := vectors.copies) is None:
            return QualityResult(measured)
        found = memorization(search.train, search.held_out, search.generated)
        measured[name_of("copies", self.extractor.name)] = scores.copies_score(found)
        return QualityResult(measured, found, search.train_rows)

    def _check_counts(self) -> None:
        settings, metrics = self.settings, self._metrics
        fewest = min(settings.n, len(self.rows))
        if "kd" in metrics:
            expect_subset_fits(
                fewest, settings.kid_subset_size or 2, settings.key("kid_subset_size")
            )
        if "new" in metrics:
            expect_held_out(len(self._held_out))
        if "msssim" in metrics and fewest < 2:
            raise InputError("msssim compares pairs: it takes two images or more.")
        if "prdc" in metrics:
            expect_neighbours(fewest)
        if "is" in metrics and settings.n < GROUPS:
            raise InputError(
                f"The Inception Score is a mean over {GROUPS} parts: {settings.n} images are too "
                "few."
            )

    def _load_extractor(self) -> Extractor:
        data, settings = self.data, self.settings.extractor
        weights = settings.weights
        if settings.kind == "cnn" and weights is None:
            alternative = f", or set {settings.key('kind')}=pixels"
            key = settings.key("weights")
            weights = str(find_label_network(data.store.path, data.label_names, key, alternative))
        key = self.settings.key("extractor")
        loaded = load_extractor(settings.kind, weights, settings.layer, self.device, key)
        if loaded.image_shape not in (None, (data.channels, data.image_size)):
            raise InputError(
                f"The network in {settings.key('weights')}={weights} reads {loaded.image_shape} "
                f"(channels, pixels), and {data.name} has {(data.channels, data.image_size)}: "
                "train one with facegan.classify classify.probe=cnn for this data."
            )
        return loaded

    def _check_extractor(self) -> None:
        metrics, kind = self._metrics, self.settings.extractor.key("kind")
        if "fd" in metrics:
            one = self.extractor.read(self.data.images(self.rows[:1], self.device))
            expect_nonsingular(min(self.settings.n, len(self.rows)), one.features.shape[1])
        if "is" in metrics and not self.extractor.multiclass:
            raise InputError(
                f"The Inception Score needs a network that predicts classes, not "
                f"{self.extractor.name}: set {kind}=inception, or cnn on data whose label is one "
                "of many, like mnist."
            )
        if "prevalence" in metrics and not self.extractor.labels:
            raise InputError(f"prevalence needs a network that predicts labels: set {kind}=cnn.")

    def _read(
        self,
        images_of: Images,
        numbers: np.ndarray,
        title: str,
        ranks: Ranks | None,
        quiet: bool,
    ) -> Tensor:
        """Packed outputs: one tensor to gather from the ranks, and to keep."""

        def read(images: Tensor) -> Tensor:
            return self.extractor.read(images).packed()

        return read_all(read, images_of, numbers, title, ranks, quiet)

    def _read_real(
        self,
        rows: np.ndarray,
        part: str,
        ranks: Ranks | None,
        quiet: bool,
        mirrored: bool = False,
    ) -> Output:
        """The output for ``rows``, sorted; read only where the cache does not have it."""
        rows = np.sort(rows)
        vectors = self._cache.load(rows, mirrored)
        complete = torch.tensor(float(vectors is not None), device=self.device)
        if ranks is not None:  # all ranks read, or none
            complete = ranks.gather(complete).min()
        if vectors is None or not complete:
            images_of: Images = partial(self.data.images, device=self.device)
            images_of = _mirrored(images_of) if mirrored else images_of
            vectors = self._read(images_of, rows, f"Real images ({part})", ranks, quiet)
            is_main = ranks is None or ranks.rank == 0
            self._cache.keep(vectors, rows, mirrored, write=is_main)
        return self.extractor.unpack(vectors)

    def _read_for_copies(
        self, generated: Output, mirrored: Output | None, ranks: Ranks | None, quiet: bool
    ) -> CopySearch:
        train_rows = np.sort(self.data.subset("train"))  # whatever the real images are
        train = self._read_real(train_rows, "train", ranks, quiet).features
        rows = np.random.default_rng(self.settings.seed).permutation(self._held_out)[:HELD_OUT]
        held_out = self._read_real(rows, "held out", ranks, quiet).features
        if mirrored is None:
            return CopySearch(train_rows, train, held_out, generated.features)
        flipped = self._read_real(rows, "held out, mirrored", ranks, quiet, mirrored=True).features
        return CopySearch(
            train_rows,
            train,
            torch.stack([held_out, flipped], 1),
            torch.stack([generated.features, mirrored.features], 1),
        )

    def _vector_scores(self, real: Output, generated: Output) -> dict[str, QualityScore]:
        settings, extractor, pair = self.settings, self.extractor, (real[0], generated[0])
        measured: dict[str, QualityScore] = {}
        if "fd" in self._metrics:
            measured["fd"] = scores.frechet_score(*pair)
        if "kd" in self._metrics:
            measured["kd"] = scores.kernel_score(
                *pair, settings.kid_subsets, settings.kid_subset_size, settings.seed
            )
        if "is" in self._metrics:
            assert generated.logits is not None
            measured["is"] = scores.inception_score_of(generated.logits)
        if "prdc" in self._metrics:
            measured |= scores.manifold_scores(*pair, settings.seed)
        if "prevalence" in self._metrics:
            assert real.logits is not None
            assert generated.logits is not None
            measured["prevalence"] = scores.prevalence_score(
                extractor.labels, real.logits, generated.logits, extractor.multiclass
            )
        return {name_of(name, extractor.name): score for name, score in measured.items()}

    def _pixel_scores(self, images_of: Images, numbers: np.ndarray) -> dict[str, QualityScore]:
        most = SLICED_IMAGES if "swd" in self._metrics else PAIRED_IMAGES
        count = min(len(self.rows), len(numbers), most)
        parts = np.array_split(np.arange(count), -(-count // BATCH))
        real = torch.cat([self.data.images(self.rows[part]) for part in parts])
        generated = torch.cat([images_of(numbers[part]).cpu() for part in parts])
        measured: dict[str, QualityScore] = {}
        if "swd" in self._metrics:
            measured |= scores.sliced_scores(real, generated, self.settings.seed)
        if "msssim" in self._metrics:
            pair = (real[:PAIRED_IMAGES], generated[:PAIRED_IMAGES])
            measured["msssim"] = scores.similarity_score(*pair)
        return measured


def _mirrored(images_of: Images) -> Images:
    return lambda numbers: images_of(numbers).flip(-1)
