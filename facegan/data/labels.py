"""Label columns: which to report, and what their values mean."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from facegan.errors import InputError

MOST_CLASSES = 100  # of one label, with columns of their own in tables


@dataclass(frozen=True)
class Labels:
    """Label columns to report.

    Attributes:
        values: (N, L) integers, a column per name.
        class_names: of the values of a column that are not 0 and 1, by the column's name.
        combined: whether the combination of all columns is a label, too.
    """

    values: np.ndarray
    names: Sequence[str]
    class_names: Mapping[str, Sequence[str]] = field(default_factory=dict)
    combined: bool = False

    def columns(self) -> list[tuple[str, np.ndarray]]:
        """Every label (N,) with its name; then their combination, if it is a label."""
        columns = [(name, self.values[:, i]) for i, name in enumerate(self.names)]
        if self.combined and len(columns) > 1:
            columns.append(
                ("combination", np.unique(self.values, axis=0, return_inverse=True)[1].ravel())
            )
        return columns

    def binary(self) -> tuple[list[str], np.ndarray]:
        """Names and boolean columns (N, B): a label with more classes has a column per class.

        Of more than MOST_CLASSES classes, the most frequent have one.
        """
        names, columns = [], []
        for i, name in enumerate(self.names):
            values = self.values[:, i]
            if self.is_binary(name):
                names.append(name)
                columns.append(values == 1)
                continue
            classes, counts = np.unique(values, return_counts=True)
            frequent = np.argsort(-counts, kind="stable")[:MOST_CLASSES]
            for value in classes[np.sort(frequent)]:
                names.append(f"{name}={self.meaning(name, int(value))}")
                columns.append(values == value)
        count = len(self.values)
        return names, np.stack(columns, 1) if columns else np.zeros((count, 0), bool)

    def is_binary(self, name: str) -> bool:
        """Whether a label is 0 or 1, not one of several classes."""
        values = self.values[:, list(self.names).index(name)]
        return name not in self.class_names and values.max(initial=0) <= 1

    def meaning(self, name: str, value: int) -> str:
        """The name of a column's value."""
        meanings = self.class_names.get(name, ())
        return meanings[value] if 0 <= value < len(meanings) else str(value)


def choose_labels(
    key: str,
    chosen: Sequence[str] | None,
    names: Sequence[str],
    values: np.ndarray,
    class_names: Mapping[str, Sequence[str]],
) -> Labels:
    """The columns of ``values`` (N, L) whose names are ``chosen``; ``None``: all.

    Raises InputError, naming ``key``, for an empty list or a name that is not in ``names``.
    """
    if chosen is None:
        return Labels(values, list(names), class_names)
    if isinstance(chosen, str) or not isinstance(chosen, Sequence):
        raise InputError(f"{key} must be a list like [{', '.join(names[:2])}], not {chosen!r}.")
    if not chosen:
        raise InputError(f"{key} is empty: name some labels, or set it to null for all.")
    if not names:
        raise InputError(f"{key} names attributes, but these data have no labels.")
    unknown = [str(name) for name in chosen if name not in names]
    if unknown:
        raise InputError(
            f"{key}: these data have no {', '.join(unknown)}; they have: {', '.join(names)}."
        )
    unique = list(dict.fromkeys(chosen))
    columns = [list(names).index(name) for name in unique]
    return Labels(values[:, columns], unique, class_names, combined=True)
