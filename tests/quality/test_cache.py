"""Vectors of real images are kept on disk, and in memory where nothing can be written."""

from pathlib import Path

import numpy as np
import pytest
import torch

from facegan.quality.cache import VectorCache

ROWS = np.arange(4)
VECTORS = torch.arange(8.0).reshape(4, 2)


def test_the_next_command_finds_the_file_of_the_same_rows_and_extractor(tmp_path: Path):
    VectorCache(tmp_path / "vectors", "cnn-abc").keep(VECTORS, ROWS)
    cache = VectorCache(tmp_path / "vectors", "cnn-abc")
    assert torch.equal(cache.load(ROWS), VECTORS)
    assert cache.load(ROWS[:3]) is None
    assert cache.load(ROWS, mirrored=True) is None
    assert VectorCache(tmp_path / "vectors", "cnn-other").load(ROWS) is None


def test_files_of_earlier_versions_are_found(tmp_path: Path):
    name = "pixels-16-a1e03200f1f8-2.npy"  # as written before this class existed
    np.save(tmp_path / name, VECTORS.numpy())
    assert torch.equal(VectorCache(tmp_path, "pixels-16").load(ROWS), VECTORS)


def test_a_damaged_file_is_not_used(tmp_path: Path):
    cache = VectorCache(tmp_path, "cnn-abc")
    cache.keep(VECTORS, ROWS)
    path = cache.path(ROWS)
    path.write_bytes(path.read_bytes()[:-8])
    assert VectorCache(tmp_path, "cnn-abc").load(ROWS) is None


def test_where_nothing_can_be_written_memory_keeps_them(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    (tmp_path / "file").touch()
    cache = VectorCache(tmp_path / "file" / "vectors", "cnn-abc")
    cache.keep(VECTORS, ROWS)
    assert "cannot be kept for the next time" in caplog.text
    assert torch.equal(cache.load(ROWS), VECTORS)


def test_memory_is_bounded(tmp_path: Path):
    cache = VectorCache(tmp_path, "cnn-abc", memory=VECTORS.nbytes)
    cache.keep(VECTORS, ROWS, write=False)
    cache.keep(VECTORS, ROWS, mirrored=True, write=False)
    assert cache.load(ROWS) is not None
    assert cache.load(ROWS, mirrored=True) is None
