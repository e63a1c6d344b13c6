import pytest
import torch

from facegan.devices import usable_device
from facegan.errors import InputError


def test_auto_is_a_gpu_if_there_is_one():
    assert usable_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    assert usable_device("cpu") == torch.device("cpu")


@pytest.mark.parametrize("name", ["gpu7", "", "cuda:99"])
def test_a_device_that_cannot_be_used_is_refused_in_one_line(name: str):
    with pytest.raises(InputError, match=f"device={name}: ") as raised:
        usable_device(name)
    assert "\n" not in str(raised.value)
