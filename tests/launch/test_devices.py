"""GPUs shared by the concurrent jobs of a sweep."""

import os
import threading

from facegan.launch.devices import free_gpus


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
