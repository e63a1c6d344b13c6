"""GPUs shared by the concurrent jobs of a sweep."""

import os
import threading

import pytest
import torch

from facegan.launch.devices import free_gpus, limit_threads


def test_concurrent_jobs_get_disjoint_gpus():
    name = f"test_{os.getpid()}"
    with free_gpus(2, 4, name) as first, free_gpus(1, 4, name) as second:
        assert len(set(first + second)) == 3
        others = set(range(4)) - set(first + second)
    with free_gpus(4, 4, name) as everything:
        assert everything == [0, 1, 2, 3]
        assert others < set(everything)


def test_a_job_waits_for_a_free_gpu():
    name = f"test_wait_{os.getpid()}"
    found: list[list[int]] = []

    def second() -> None:
        with free_gpus(1, 1, name) as numbers:
            found.append(numbers)

    with free_gpus(1, 1, name):
        waiting = threading.Thread(target=second)
        waiting.start()
        waiting.join(0.3)
        assert found == []
    waiting.join(10)
    assert found == [[0]]


def test_a_quota_of_cpus_limits_the_threads(monkeypatch: pytest.MonkeyPatch):
    chosen: list[int] = []
    monkeypatch.setattr("joblib.cpu_count", lambda: 2)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 64)
    monkeypatch.setattr(torch, "set_num_threads", chosen.append)
    limit_threads()  # OMP_NUM_THREADS is set in tests
    monkeypatch.delenv("OMP_NUM_THREADS")
    limit_threads()
    assert chosen == [2]
