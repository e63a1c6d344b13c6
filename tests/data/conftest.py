"""What several tests of data need."""

import os
from pathlib import Path

import pytest

from tests.data.fakes import FakeCelebA


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The directory with real ``celeba`` and ``mnist``: $FACEGAN_TEST_DATA, or beside the repo."""
    beside = Path(__file__).parents[3] / "shared" / "data"
    path = Path(os.environ.get("FACEGAN_TEST_DATA", beside))
    if not path.is_dir():
        pytest.skip("no real data (set FACEGAN_TEST_DATA)")
    return path


@pytest.fixture
def fake_celeba() -> FakeCelebA:
    return FakeCelebA(list(range(1, 13)))
