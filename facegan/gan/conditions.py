"""Conditions: what a generator is asked for, as label values and as vectors for the networks."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from facegan.errors import InputError
from facegan.gan.latents import STREAM_LENGTH, rows_of_blocks
from facegan.gan.settings import ConditionSettings
from facegan.seeds import CONDITIONS, mix_seed

CLUSTER = "cluster"  # name of the label that the discriminator's clusters are
IMAGES_PER_CLUSTER, MOST_CLUSTERS = 400, 100  # fewer images starve a cluster (IC-GAN, 2021)
SHOWN = 10  # rows of the grid, at most


class Conditions(nn.Module):
    """Label values of images, as vectors for the networks, and how common they are.

    A class or cluster becomes a one-hot vector times the root of its length. Attributes are
    standardised, ``(y - p) / sqrt(p (1 - p))`` with their share p, so that a rare one counts as
    much as a common one; values beside 0 and 1 are allowed, to exaggerate. Either way each element
    has a mean square of about 1.

    Args:
        kind: ``none`` (no label, and no vectors), ``classes``, ``attributes`` or ``clusters``.
        names: of the labels; one for classes and clusters.
        columns: where they are among the labels of a batch.
        classes: names of the values of classes and clusters.
    """

    columns: Tensor  # (L,)
    mean: Tensor  # (C,)
    scale: Tensor  # (C,)

    def __init__(
        self,
        kind: str = "none",
        names: Sequence[str] = (),
        columns: Sequence[int] = (),
        classes: Sequence[str] = (),
    ) -> None:
        super().__init__()
        self.kind, self.names, self.classes = kind, tuple(names), tuple(classes)
        count = len(self.classes) or len(self.names)
        self.num_conditions = count  # elements of a vector
        self.register_buffer("columns", torch.tensor(columns, dtype=torch.long), persistent=False)
        self.register_buffer("mean", torch.zeros(count), persistent=False)
        self.register_buffer("scale", torch.ones(count), persistent=False)
        if self.classes:
            self.scale.fill_(count**0.5)
        self._values = np.zeros((1, len(self.names)), np.int64)  # (U, L) distinct combinations
        self._counts = np.ones(1, np.int64)  # (U,) training images with each

    def specification(self) -> dict[str, Any]:
        """The arguments of an equal object, as JSON values."""
        columns, classes = self.columns.tolist(), list(self.classes)
        return {
            "kind": self.kind,
            "names": list(self.names),
            "columns": columns,
            "classes": classes,
        }

    def fit(self, labels: np.ndarray) -> None:
        """Learn how common conditions are from the ``labels`` (N, all columns) of training images.

        Raises InputError for an attribute of which all images have the same value.
        """
        self.fit_values(labels[:, self.columns.cpu().numpy()])

    def fit_values(self, values: np.ndarray) -> None:
        """:meth:`fit` from the values (N, L) of these labels alone."""
        self._set(*np.unique(values.astype(np.int64), axis=0, return_counts=True))

    def _set(self, values: np.ndarray, counts: np.ndarray) -> None:
        if not self.classes:
            share = np.average(values, axis=0, weights=counts)
            constant = [name for name, p in zip(self.names, share, strict=True) if p in (0, 1)]
            if constant:
                raise InputError(
                    f"condition.names: all training images have the same {', '.join(constant)}, "
                    "which cannot be asked for: leave it out."
                )
            self.mean.copy_(torch.from_numpy(share))
            self.scale.copy_(torch.from_numpy((share * (1 - share)) ** -0.5))
        self._values, self._counts = values, counts

    def state(self) -> dict[str, Tensor]:
        """For a checkpoint: what :meth:`fit` has learned."""
        smallest = np.int16 if self.classes else np.int8
        values = torch.from_numpy(self._values.astype(smallest))
        return {"values": values, "counts": torch.from_numpy(self._counts)}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        self._set(state["values"].numpy().astype(np.int64), state["counts"].numpy())

    def of_batch(self, labels: Tensor) -> Tensor:
        """The label values (N, L) among all ``labels`` (N, columns) of a batch."""
        return labels.index_select(1, self.columns)

    def encode(self, values: Tensor) -> Tensor | None:
        """Label values (N, L) as vectors (N, num_conditions), float32; None without labels."""
        if not self.names:
            return None
        if self.classes:  # not one_hot, which reads values from the GPU
            values = values == torch.arange(self.num_conditions, device=values.device)
        return (values.float() - self.mean) * self.scale

    def draw(
        self, count: int, seed: int, start: int = 0, asked: Mapping[str, float] | None = None
    ) -> Tensor:
        """Label values number ``start`` to ``start + count`` of a seed: float32 (count, L), on CPU.

        They are as common as in the training images. Row i depends on ``seed`` and i only.

        Args:
            asked: values of some labels, from :meth:`read`; the others are drawn from the training
                images that have these. Where none has, from all.
        """
        values, counts = self._values, self._counts
        columns = [self.names.index(name) for name in asked or {}]
        wanted = np.array(list((asked or {}).values()))
        if columns and not self.classes:
            having = (values[:, columns] == (wanted >= 0.5)).all(1)
            if having.any():
                values, counts = values[having], counts[having]
        shares = counts.cumsum() / counts.sum()

        def block(number: int) -> Tensor:
            rng = np.random.default_rng(mix_seed(seed, number, CONDITIONS))
            rows = np.searchsorted(shares, rng.random(STREAM_LENGTH), side="right")
            drawn = values[rows.clip(max=len(values) - 1)].astype(np.float32)
            drawn[:, columns] = wanted
            return torch.from_numpy(drawn)

        return rows_of_blocks(block, count, start)

    def share(self, asked: Mapping[str, float]) -> float:
        """Share of the training images that have all values ``asked`` for."""
        having = np.ones(len(self._values), bool)
        for name, value in asked.items():
            exact = value if self.classes else value >= 0.5
            having &= self._values[:, self.names.index(name)] == exact
        return float(self._counts[having].sum() / self._counts.sum())

    def read(self, asked: Mapping[str, Any]) -> dict[str, float]:
        """Values people have typed, by label: a number, or the name of a class.

        Raises InputError for a label or a class that the generator does not know.
        """
        found: dict[str, float] = {}
        for name, value in asked.items():
            if name not in self.names:
                known = (
                    f"takes {', '.join(self.names)}"
                    if self.names
                    else ("takes no conditions: train one with condition=attributes or the like")
                )
                raise InputError(f"condition.{name}={value}: this generator {known}.")
            if self.classes and str(value) in self.classes:
                found[name] = self.classes.index(str(value))
            elif not self.classes and type(value) in (int, float, bool):
                found[name] = float(value)
            else:
                kind = (
                    f"one of {', '.join(self.classes)}" if self.classes else "a number like 0 or 1"
                )
                raise InputError(f"condition.{name} must be {kind}, not {value!r}.")
        return found

    def describe(self, values: Sequence[float]) -> str:
        """Label values (L,) in words, like "Smiling, not Male" or "digit 7"."""
        if self.classes:
            return f"{self.names[0]} {self.classes[int(values[0])]}"
        pairs = zip(self.names, values, strict=True)
        return ", ".join(name if value >= 0.5 else f"not {name}" for name, value in pairs)

    def shown(self) -> list[tuple[str, np.ndarray]]:
        """The rows of a grid: captions and label values (L,); at most SHOWN.

        Of classes and clusters the first ones; of attributes each one, absent and present, with the
        values of the others that are most common beside it.
        """
        if self.classes:
            return [(self.describe(row), row) for row in self._values[:SHOWN]]
        rows = []
        for column, name in enumerate(self.names[: SHOWN // 2]):
            for value, caption in ((0, f"not {name}"), (1, name)):
                having = np.flatnonzero(self._values[:, column] == value)
                rows.append((caption, self._values[having[self._counts[having].argmax()]]))
        return rows


def conditions_for(
    settings: ConditionSettings,
    label_names: Sequence[str],
    labels: np.ndarray,
    class_names: Mapping[str, Sequence[str]],
) -> Conditions:
    """The conditions that ``settings`` choose among the labels of training images.

    Args:
        label_names: of the columns of ``labels``.
        labels: (N, columns) of the training images.
        class_names: of the values of a column, by the column's name.

    Raises:
        InputError: for labels that the data do not have or that do not fit ``condition``.
    """
    if settings.kind == "none":
        return Conditions()
    if settings.kind == "clusters":
        k = settings.k or max(2, min(MOST_CLUSTERS, len(labels) // IMAGES_PER_CLUSTER))
        names = tuple(str(number) for number in range(k))
        return Conditions("clusters", (CLUSTER,), (len(label_names),), names)
    columns_of = dict(zip(label_names, labels.T, strict=True))
    binary = [n for n in label_names if n not in class_names and columns_of[n].max(initial=0) <= 1]
    if settings.kind == "attributes":
        fitting = binary
        varying = [name for name in binary if columns_of[name].min() < columns_of[name].max()]
        chosen = varying if settings.names is None else list(dict.fromkeys(settings.names))
    else:
        several = [name for name in label_names if name not in binary] or list(label_names)
        chosen = several if settings.names is None else list(settings.names)
        if len(chosen) > 1:
            raise InputError(
                f"condition=classes takes one label, and there are {', '.join(chosen)}: set "
                f"'condition.names=[{chosen[0]}]', or take condition=attributes."
            )
        fitting = list(label_names)
    unknown = [name for name in chosen if name not in fitting]
    if unknown or not chosen:
        what = f"no {', '.join(map(str, unknown))}" if unknown else "no such label"
        have = ", ".join(fitting) or "none"
        raise InputError(
            f"condition={settings.kind}: these data have {what}; labels that fit: {have}."
        )
    columns = [list(label_names).index(name) for name in chosen]
    classes: Sequence[str] = ()
    if settings.kind == "classes":
        count = int(labels[:, columns[0]].max()) + 1
        classes = class_names.get(chosen[0]) or tuple(str(value) for value in range(count))
    return Conditions(settings.kind, chosen, columns, classes)
