import torch
from torch import nn

from facegan.networks.weights import weights_key


def test_the_key_follows_every_parameter_and_buffer():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    key = weights_key(network)
    assert len(key) == 12
    assert weights_key(network.eval()) == key
    for name, value in network.state_dict().items():
        kept = value.clone()
        value.add_(1)
        assert weights_key(network) != key, name
        value.copy_(kept)
    assert weights_key(network) == key
