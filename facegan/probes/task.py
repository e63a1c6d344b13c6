"""What there is to tell: attributes, or the classes of one label."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from facegan.errors import expect


@dataclass(frozen=True)
class Problem:
    """What is to be told: several ``names`` of attributes, or the classes of one label."""

    names: Sequence[str]
    classes: Sequence[str] | None = None

    @property
    def heads(self) -> int:
        return len(self.names) if self.classes is None else len(self.classes)


def problem_of(
    names: Sequence[str], values: np.ndarray, class_names: dict[str, list[str]]
) -> tuple[Problem, np.ndarray]:
    """The problem that label columns (N, L) pose, and its targets for every row.

    Either all columns are attributes of 0 and 1, or there is one column of classes.
    """
    expect(len(names) > 0, "These data have no labels: there is nothing to classify.")
    many = [
        name
        for column, name in enumerate(names)
        if name in class_names or values[:, column].max(initial=0) > 1
    ]
    if not many:
        return Problem(list(names)), values.astype(np.float32)
    expect(
        len(names) == 1,
        f"{', '.join(many)} has several classes and cannot be told together with attributes: "
        f"choose classify.attributes=[{many[0]}], or leave it out.",
    )
    count = int(values.max()) + 1
    classes = class_names.get(names[0]) or [str(number) for number in range(count)]
    expect(len(classes) > 1, f"All images have the same {names[0]}: there is nothing to tell.")
    return Problem(list(names), classes), values[:, 0].astype(np.int64)
