import numpy as np
import pytest

from facegan.data.sources.synthetic import Synthetic
from facegan.errors import InputError
from facegan.probes.task import problem_of, task_of


def test_attributes_or_one_label_with_classes():
    values = np.array([[0, 1], [1, 0]])
    problem, targets = problem_of(["Bald", "Male"], values, {})
    assert (problem.classes, problem.heads, targets.shape) == (None, 2, (2, 2))
    problem, targets = problem_of(["digit"], np.array([[3], [7]]), {})
    assert (problem.heads, targets.tolist()) == (8, [3, 7])
    problem, _ = problem_of(["class"], values[:, :1], {"class": ["cat", "dog"]})
    assert problem.classes == ["cat", "dog"]
    with pytest.raises(InputError, match=r"choose 'classify.attributes=\[digit\]"):
        problem_of(["digit", "Bald"], np.array([[3, 0]]), {})
    with pytest.raises(InputError, match="no labels"):
        problem_of([], values[:, :0], {})
    with pytest.raises(InputError, match="same class: there is nothing to classify"):
        problem_of(["class"], values[:, :1], {"class": ["cat"]})


def test_a_task_has_the_targets_of_its_rows(faces: Synthetic):
    task = task_of(faces, ["Smiling", "Male"], seed=0)
    store = faces.store
    columns = [store.label_names.index(name) for name in ("Smiling", "Male")]
    assert task.columns == columns
    assert (task.targets == store.labels[task.rows][:, columns]).all()
    assert set(task.rows[task.train]) == set(store.rows("train"))
    assert set(task.rows[task.test]) == set(store.rows("test"))
    assert task.prevalence() == pytest.approx(store.labels[store.rows("train")][:, columns].mean(0))
    assert (task.labels(faces, task.val).values == task.targets[task.val]).all()


def test_the_prevalence_of_classes_is_their_share(faces: Synthetic, monkeypatch):
    monkeypatch.setitem(faces.store.class_names, "Smiling", ["no", "yes"])
    task = task_of(faces, ["Smiling"], seed=0)
    assert task.problem.classes == ["no", "yes"]
    assert task.prevalence().sum() == pytest.approx(1)
    assert task.prevalence()[1] == pytest.approx(task.targets[task.train].mean())
