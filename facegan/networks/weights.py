"""A short key of a network's weights."""

import hashlib

from torch import nn


def weights_key(network: nn.Module) -> str:
    """Twelve hex digits that change when any parameter or buffer does (SHA-256)."""
    digest = hashlib.sha256()
    for name, value in network.state_dict().items():
        digest.update(name.encode())
        digest.update(value.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:12]
