import torch

from facegan.pictures.scaling import to_uint8


def test_bytes_are_equal_after_scaling_to_float_and_back():
    values = torch.arange(256, dtype=torch.uint8)
    assert torch.equal(to_uint8(values.float() / 127.5 - 1), values)


def test_values_outside_are_clipped():
    assert to_uint8(torch.tensor([-3.0, 3.0])).tolist() == [0, 255]
