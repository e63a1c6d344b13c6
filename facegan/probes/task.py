"""What is predicted: attributes, or the classes of one label, and the rows to learn it from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from facegan.data.labels import Labels, choose_labels
from facegan.data.module import ImageDataModule
from facegan.errors import InputError


@dataclass(frozen=True)
class Problem:
    """Several attributes of 0 and 1 called ``names``, or the ``classes`` of the one label."""

    names: Sequence[str]
    classes: Sequence[str] | None = None

    @property
    def heads(self) -> int:
        """Number of logits: one per attribute, or one per class."""
        return len(self.names) if self.classes is None else len(self.classes)


@dataclass(frozen=True)
class Task:
    """A problem with the images of one data set.

    Attributes:
        columns: label columns of the store that hold it.
        rows: of the store (N,): train (shuffled), val and test, one after the other.
        targets: attributes (N, A) float32, or classes (N,) int64.
        train, val, test: the parts of ``rows``.
    """

    problem: Problem
    columns: list[int]
    rows: np.ndarray
    targets: np.ndarray
    train: slice
    val: slice
    test: slice

    def size(self, part: slice) -> int:
        """Number of images in a part."""
        return part.stop - part.start

    def prevalence(self) -> np.ndarray:
        """Share of the training images that have each attribute or class (heads,)."""
        targets = self.targets[self.train]
        if self.problem.classes is None:
            return targets.mean(0)
        return np.bincount(targets, minlength=self.problem.heads) / len(targets)

    def labels(self, data: ImageDataModule, part: slice) -> Labels:
        """The label columns of a part, with their names."""
        values = data.store.labels[self.rows[part]][:, self.columns]
        return Labels(values, self.problem.names, data.store.class_names)


def task_of(data: ImageDataModule, attributes: Sequence[str] | None, seed: int) -> Task:
    """The task of predicting ``attributes`` of ``data`` (``None``: all labels).

    Raises InputError for attributes the data do not have, or cannot be predicted together.
    """
    store = data.store
    parts = [data.subset(split, seed=seed) for split in ("train", "val", "test")]
    rows = np.concatenate(parts)
    labels = choose_labels(
        "classify.attributes",
        attributes,
        store.label_names,
        store.labels[rows].astype(np.int64),
        store.class_names,
    )
    problem, targets = problem_of(labels.names, labels.values, store.class_names)
    columns = [store.label_names.index(name) for name in labels.names]
    first, second = len(parts[0]), len(parts[0]) + len(parts[1])
    train, val, test = slice(0, first), slice(first, second), slice(second, len(rows))
    return Task(problem, columns, rows, targets, train, val, test)


def problem_of(
    names: Sequence[str], values: np.ndarray, class_names: Mapping[str, Sequence[str]]
) -> tuple[Problem, np.ndarray]:
    """The problem of predicting label columns (N, L), and the targets of every row.

    Either all columns are attributes of 0 and 1, or there is one column of classes. Raises
    InputError for no columns, for a mixture of both, and for a single class.
    """
    if not len(names):
        raise InputError("These data have no labels: there is nothing to classify.")
    multiclass = [
        name
        for column, name in enumerate(names)
        if name in class_names or values[:, column].max(initial=0) > 1
    ]
    if not multiclass:
        return Problem(list(names)), values.astype(np.float32)
    if len(names) > 1:
        raise InputError(
            f"{', '.join(multiclass)} has several classes and cannot be predicted together with "
            f"attributes: choose 'classify.attributes=[{multiclass[0]}]', or leave it out."
        )
    classes = class_names.get(names[0]) or [str(number) for number in range(int(values.max()) + 1)]
    if len(classes) < 2:
        raise InputError(f"All images have the same {names[0]}: there is nothing to classify.")
    return Problem(list(names), list(classes)), values[:, 0].astype(np.int64)
