"""What images are compared by: each extractor turns them into vectors, with a name for the metrics.

Only with ``inception`` may a number be called FID or KID; with any other network it has that
network's name, so that nobody mistakes it.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from facegan.classifier import Classifier, load_classifier
from facegan.errors import InputError, expect

KINDS = ("cnn", "pixels", "inception")


@dataclass(frozen=True)
class Extractor:
    """``read``: images in [-1, 1] (N, C, H, W) to vectors (N, d). ``key`` tells its weights."""

    name: str
    key: str
    read: Callable[[Tensor], Tensor]

    def metric(self, kind: str) -> str:
        """What a metric of these vectors is called: ``fid`` and ``kid``, or ``fd_cnn`` …"""
        if self.name == "inception":
            return {"fd": "fid", "kd": "kid"}.get(kind, kind)
        return f"{kind}_{self.name}"


def extractor(
    kind: str, weights: str | None = None, device: torch.device | str = "cpu"
) -> Extractor:
    """The extractor called ``kind``.

    ``pixels``: the image at 16 pixels, in as many dimensions. ``cnn``: the last layer of the
    network that ``facegan.classify classify.probe=cnn`` made, in the file ``weights``.
    ``inception``: the network of the FID, of which torch-fidelity gets the weights, or from the
    file ``weights``. Any other: the torchvision model of that name, before its last layer.
    """
    if kind == "pixels":
        return Extractor("pixels", "16", _small)
    if kind == "cnn":
        expect(
            weights is not None,
            "extractor.kind=cnn needs the network that tells this data's labels: make it with "
            "facegan.classify classify.probe=cnn and name its cnn.ckpt in extractor.weights.",
        )
        network = load_classifier(Path(str(weights)), device)
        return Extractor("cnn", _key(network), _without_gradients(_last_layer(network)))
    if kind == "inception":
        return _inception(weights, device)
    return _backbone(kind, weights, device)


def _small(images: Tensor) -> Tensor:
    return F.interpolate(images, size=16, mode="area").flatten(1)


def _last_layer(network: Classifier) -> Callable[[Tensor], Tensor]:
    def read(images: Tensor) -> Tensor:
        hidden = images
        for layer in network.network.layers:
            hidden = layer(hidden)
        return hidden.mean((2, 3))

    return read


def _inception(weights: str | None, device: torch.device | str) -> Extractor:
    try:
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
    except ImportError as error:
        raise InputError(
            "extractor.kind=inception needs torch-fidelity: pip install 'facegan[fid]'."
        ) from error
    try:
        if weights:  # torch-fidelity would load anything that is in the file
            torch.load(weights, map_location="cpu", weights_only=True)
        network = FeatureExtractorInceptionV3(
            "inception-v3-compat", ["2048"], feature_extractor_weights_path=weights
        )
    except Exception as error:  # a dozen kinds, from urllib's to torch's
        raise InputError(
            f"The weights of Inception cannot be loaded ({error}): download them once where there "
            "is a network, or name the file in extractor.weights."
        ) from error
    network = network.to(device).eval()

    def read(images: Tensor) -> Tensor:
        shown = (images.add(1) * 127.5).round().clamp(0, 255).to(torch.uint8)
        return network(shown.expand(-1, 3, -1, -1))[0]

    return Extractor("inception", _key(network), _without_gradients(read))


def _backbone(kind: str, weights: str | None, device: torch.device | str) -> Extractor:
    from torchvision import models

    expect(
        kind in models.list_models(module=models),
        f"extractor.kind={kind} is none of {', '.join(KINDS)}, nor a model of torchvision.",
    )
    try:
        network = models.get_model(kind, weights=None if weights else "DEFAULT")
        if weights:
            network.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    except Exception as error:
        raise InputError(f"The weights of {kind} cannot be loaded: {error}") from error
    last = [name for name in ("fc", "classifier", "head", "heads") if hasattr(network, name)]
    expect(bool(last), f"extractor.kind={kind}: which of its layers is the last is not known here.")
    setattr(network, last[0], nn.Identity())
    network = network.to(device).eval()
    mean = torch.tensor([0.485, 0.456, 0.406], device=device)[:, None, None]
    deviation = torch.tensor([0.229, 0.224, 0.225], device=device)[:, None, None]

    def read(images: Tensor) -> Tensor:
        larger = F.interpolate(images, size=224, mode="bilinear", antialias=True)
        return network((larger.expand(-1, 3, -1, -1) / 2 + 0.5 - mean) / deviation).flatten(1)

    return Extractor(kind, _key(network), _without_gradients(read))


def _without_gradients(read: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    def inner(images: Tensor) -> Tensor:
        with torch.inference_mode():
            return read(images).float()

    return inner


def _key(network: nn.Module) -> str:
    """Changes when any weight does."""
    digest = hashlib.sha256()
    for name, value in network.state_dict().items():
        digest.update(name.encode())
        digest.update(value.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:12]
