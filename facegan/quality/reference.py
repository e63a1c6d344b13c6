"""The real images that candidates are compared with: chosen, read and cached."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from facegan.data.module import ImageDataModule
from facegan.devices import usable_device
from facegan.errors import InputError
from facegan.features.extractors import (
    Extractor,
    LabelNetwork,
    Output,
    StackedNetwork,
    find_label_network,
    load_extractor,
)
from facegan.features.stream import ALONE, BATCH, Images, Ranks, read_all
from facegan.quality import measuring
from facegan.quality.cache import VectorCache
from facegan.quality.cas import train_on_generated
from facegan.quality.metrics.adherence import Asked
from facegan.quality.metrics.memorization import HELD_OUT, memorization
from facegan.quality.names import PIXEL_METRICS, SELF_CONTAINED, name_of
from facegan.quality.scores import (
    QualityResult,
    QualityScore,
    accuracy_score,
    adherence_score,
    copies_score,
    modes_scores,
)
from facegan.quality.settings import QualitySettings


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
    held_out: Output | None = None


class ReferenceSet:
    """Real images with an extractor: measures generated images against them.

    ``settings.n`` is the number of generated images to be measured. Raises InputError, before
    images are read, if ``settings`` do not fit the data.

    Attributes:
        rows: of the store, of the real images (N,).
        extractor: loaded and on ``device``.
    """

    def __init__(
        self, settings: QualitySettings, data: ImageDataModule, device: torch.device | str
    ) -> None:
        self.settings, self.data, self.device = settings, data, usable_device(device)
        self._metrics = frozenset(settings.metrics)
        self.rows = data.subset(settings.split, settings.real, settings.seed)
        self._held_out = np.concatenate([data.store.rows("val"), data.store.rows("test")])
        measuring.check_counts(settings, len(self.rows), len(self._held_out))
        self._unstacked = data.unstacked()
        measuring.check_stacked(settings, self._unstacked is not None)
        self.extractor = self._load_extractor()
        one = data.images(self.rows[:1], self.device)
        measuring.check_extractor(settings, self.extractor, one, len(self.rows))
        name = f"{self.extractor.name}-{self.extractor.key}"
        self._cache = VectorCache(data.store.path / "vectors", name)

    def names(self) -> list[str]:
        """The full names of the scores that will be measured."""
        return measuring.score_names(self.settings, self.extractor, self.data.image_size)

    def vectors(self, images_of: Images, numbers: np.ndarray, ranks: Ranks = ALONE) -> Vectors:
        """Read the generated images ``images_of(numbers)``, and the real ones.

        Every one of ``ranks`` has to call it, and gets all vectors.
        """
        chosen = self._metrics - PIXEL_METRICS
        if not chosen:
            return Vectors()
        generated = self.extractor.unpack(self._read(images_of, numbers, "Generated images", ranks))
        real = held_out = None
        if chosen - SELF_CONTAINED:
            real = self._read_real(self.rows, self.settings.split, ranks)
        if chosen & set(measuring.ASKED):
            held_out = self._read_real(self._held_out, "held out", ranks)
        if "new" not in chosen:
            return Vectors(generated, real, held_out=held_out)
        mirrored = None
        if self.data.flip:
            title = "Generated images, mirrored"
            read = self._read(_mirrored(images_of), numbers, title, ranks)
            mirrored = self.extractor.unpack(read)
        search = self._read_for_copies(generated, mirrored, ranks)
        return Vectors(generated, real, search, held_out)

    def scores(
        self,
        vectors: Vectors,
        images_of: Images,
        numbers: np.ndarray,
        asked: Asked | None = None,
    ) -> QualityResult:
        """Score the generated images ``images_of(numbers)``, of which ``vectors`` were read.

        ``asked``: what they were asked for, if anything.
        """
        measured: dict[str, QualityScore] = {}
        if vectors.real is not None and vectors.generated is not None:
            measured |= measuring.vector_scores(
                self.settings, self.extractor, vectors.real, vectors.generated
            )
        if self._metrics & PIXEL_METRICS:
            measured |= self._pixel_scores(images_of, numbers)
        if vectors.held_out is not None and vectors.generated is not None and asked is not None:
            scores = self._scores_of_asked(
                *(asked, images_of, numbers, vectors.generated, vectors.held_out)
            )
            measured |= {name_of(name, self.extractor.name): found for name, found in scores}
        if "modes" in self._metrics and vectors.generated is not None:
            measured |= self._modes(vectors.generated)
        if (search := vectors.copies) is None:
            return QualityResult(measured)
        found = memorization(search.train, search.held_out, search.generated)
        measured[name_of("copies", self.extractor.name)] = copies_score(found)
        return QualityResult(measured, found, search.train_rows)

    def _scores_of_asked(
        self,
        asked: Asked,
        images_of: Images,
        numbers: np.ndarray,
        generated: Output,
        held_out: Output,
    ) -> Iterator[tuple[str, QualityScore]]:
        store, extractor = self.data.store, self.extractor
        columns = [store.label_names.index(name) for name in asked.names]
        rows = np.sort(self._held_out)  # the order in which real images are read
        values = torch.from_numpy(store.labels[rows][:, columns].astype("i8"))
        assert generated.logits is not None
        assert held_out.logits is not None
        if "adherence" in self._metrics:
            logits = generated.logits
            score = adherence_score(asked, extractor, logits, held_out.logits, values)
            yield "adherence", score
        if "cas" in self._metrics:
            assert isinstance(extractor, LabelNetwork)
            network = train_on_generated(
                *(asked, images_of, numbers, extractor, self.device),
                flip=self.data.flip,
                seed=self.settings.seed,
            )
            images = partial(self.data.images, device=self.device)
            logits = read_all(network.logits, images, rows, "Real images (held out)")
            yield "cas", accuracy_score(asked, extractor, logits, held_out.logits, values)

    def _modes(self, generated: Output) -> dict[str, QualityScore]:
        extractor = self.extractor
        assert isinstance(extractor, StackedNetwork)
        assert generated.logits is not None
        digits = extractor.predicted(generated.logits)
        found = modes_scores(digits, self.data.store.labels[self.rows])
        return {name_of(name, extractor.name): score for name, score in found.items()}

    def _load_extractor(self) -> Extractor:
        data, settings = self.data, self.settings.extractor
        weights = settings.weights
        if settings.kind == "cnn" and weights is None:
            weights = str(self._find_label_network())
        key = self.settings.key("extractor")
        loaded = load_extractor(settings.kind, weights, settings.layer, self.device, key)
        plain = self._unstacked
        if (
            plain is not None
            and isinstance(loaded, LabelNetwork)
            and loaded.image_shape == (plain.channels, plain.image_size)
        ):
            loaded = StackedNetwork(loaded, data.channels)
        if loaded.image_shape not in (None, (data.channels, data.image_size)):
            raise InputError(
                f"The network in {settings.key('weights')}={weights} reads {loaded.image_shape} "
                f"(channels, pixels), and {data.name} has {(data.channels, data.image_size)}: "
                "train one with facegan.classify classify.probe=cnn for this data."
            )
        return loaded

    def _find_label_network(self) -> Path:
        """That of the data; where they are stacked, that of the single images."""
        settings, plain = self.settings.extractor, self._unstacked
        more = {"alternative": f", or set {settings.key('kind')}=pixels"}
        if plain is not None:
            more["options"] = (
                "with the options of the data but without dataset.stacked, and with "
                f"dataset.image_size={plain.image_size} dataset.channels={plain.channels}"
            )
        of = plain or self.data
        return find_label_network(of.store.path, of.label_names, settings.key("weights"), **more)

    def _read(self, images_of: Images, numbers: np.ndarray, title: str, ranks: Ranks) -> Tensor:
        """Packed outputs: one tensor to gather from the ranks, and to keep."""
        extractor = self.extractor
        return read_all(lambda x: extractor.read(x).packed(), images_of, numbers, title, ranks)

    def _read_real(
        self, rows: np.ndarray, part: str, ranks: Ranks, mirrored: bool = False
    ) -> Output:
        """The output for ``rows``, sorted; read only where the cache does not have it."""
        rows = np.sort(rows)
        vectors = self._cache.load(rows, mirrored)
        found = ranks.gather(torch.tensor(float(vectors is not None), device=self.device))
        if vectors is None or not found.min():  # all ranks read, or none
            images_of: Images = partial(self.data.images, device=self.device)
            images_of = _mirrored(images_of) if mirrored else images_of
            vectors = self._read(images_of, rows, f"Real images ({part})", ranks)
            self._cache.keep(vectors, rows, mirrored, write=ranks.rank == 0)
        return self.extractor.unpack(vectors)

    def _read_for_copies(
        self, generated: Output, mirrored: Output | None, ranks: Ranks
    ) -> CopySearch:
        train_rows = np.sort(self.data.subset("train"))  # whatever the real images are
        train = self._read_real(train_rows, "train", ranks).features
        rows = np.random.default_rng(self.settings.seed).permutation(self._held_out)[:HELD_OUT]
        held_out = self._read_real(rows, "held out", ranks).features
        if mirrored is None:
            return CopySearch(train_rows, train, held_out, generated.features)
        flipped = self._read_real(rows, "held out, mirrored", ranks, mirrored=True).features
        return CopySearch(
            train_rows,
            train,
            torch.stack([held_out, flipped], 1),
            torch.stack([generated.features, mirrored.features], 1),
        )

    def _pixel_scores(self, images_of: Images, numbers: np.ndarray) -> dict[str, QualityScore]:
        most = measuring.SLICED_IMAGES if "swd" in self._metrics else measuring.PAIRED_IMAGES
        count = min(len(self.rows), len(numbers), most)
        parts = np.array_split(np.arange(count), -(-count // BATCH))
        real = torch.cat([self.data.images(self.rows[part]) for part in parts])
        generated = torch.cat([images_of(numbers[part]).cpu() for part in parts])
        return measuring.pixel_scores(self.settings, real, generated)


def _mirrored(images_of: Images) -> Images:
    return lambda numbers: images_of(numbers).flip(-1)
