"""Label columns: which are reported, and what their values mean."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from facegan.errors import expect, expect_list


@dataclass(frozen=True)
class Labels:
    """The label columns that are reported: ``values`` (N, L), ``names`` of the columns.

    ``class_names[name]`` says what the values of a column mean, where they are not 0 and 1.
    ``combined``: whether the columns are few and chosen, so that their combination is a label.
    """

    values: np.ndarray
    names: Sequence[str]
    class_names: Mapping[str, Sequence[str]] = field(default_factory=dict)
    combined: bool = False

    def columns(self) -> list[tuple[str, np.ndarray]]:
        """Every label (N,) with its name, and the combination of chosen ones."""
        columns = [(name, self.values[:, i]) for i, name in enumerate(self.names)]
        if self.combined and len(columns) > 1:
            columns.append(
                ("combination", np.unique(self.values, axis=0, return_inverse=True)[1].ravel())
            )
        return columns

    def binary(self) -> tuple[list[str], np.ndarray]:
        """Columns of 0 and 1 (N, B) with their names: other labels one column per class."""
        names, columns = [], []
        for i, name in enumerate(self.names):
            values = self.values[:, i]
            if name not in self.class_names and values.max(initial=0) <= 1:
                names.append(name)
                columns.append(values == 1)
                continue
            for value in np.unique(values):
                names.append(f"{name}={self.meaning(name, int(value))}")
                columns.append(values == value)
        count = len(self.values)
        return names, np.stack(columns, 1) if columns else np.zeros((count, 0), bool)

    def meaning(self, name: str, value: int) -> str:
        """What a value of a column is called."""
        meanings = self.class_names.get(name, ())
        return meanings[value] if 0 <= value < len(meanings) else str(value)


def choose_labels(
    key: str,
    chosen: Sequence[str] | None,
    names: Sequence[str],
    values: np.ndarray,
    class_names: Mapping[str, Sequence[str]],
) -> Labels:
    """The columns of ``values`` (N, L) that the setting ``key`` asks for; ``None``: all."""
    if chosen is None:
        return Labels(values, list(names), class_names)
    valid = ", ".join(names)
    expect_list(key, chosen, f"[{', '.join(names[:2])}]")
    expect(len(chosen) > 0, f"{key} is empty: name some, or set it to null for all.")
    expect(bool(names), f"{key} names attributes, but these data have no labels.")
    unknown = [str(name) for name in chosen if name not in names]
    expect(not unknown, f"{key}: these data have no {', '.join(unknown)}; they have: {valid}.")
    unique = list(dict.fromkeys(chosen))
    columns = [list(names).index(name) for name in unique]
    return Labels(values[:, columns], unique, class_names, combined=True)
