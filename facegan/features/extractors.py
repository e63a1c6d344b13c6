"""What images are compared by: each extractor turns them into vectors, with a name for the metrics.

Only with ``inception`` may a number be called FID or KID; with any other network it has that
network's name, so that nobody mistakes it.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from facegan.errors import InputError, expect, expect_one_of
from facegan.features.classifier import Classifier, load_classifier
from facegan.features.names import FID_LAYER, network_name
from facegan.pictures.scaling import to_uint8

KINDS = ("cnn", "pixels", "inception")
INCEPTION_LAYERS = (64, 192, 768, FID_LAYER)  # by their width
NETWORKS = "networks"  # directory beside the packed images


@dataclass(frozen=True)
class Extractor:
    """What turns images into vectors.

    Attributes:
        name: of the network.
        key: changes with its weights.
        read: images in [-1, 1] (N, C, H, W) to vectors (N, d + heads): ``d`` features and, after
            them, the network's answers as logits, if it gives any.
        heads: how many answers.
        names: of the answers, where they are the labels of the data.
        multiclass: whether the answers are classes, of which an image has one.
        image_shape: channels and side in pixels of the images it can read; ``None``: any.
    """

    name: str
    key: str
    read: Callable[[Tensor], Tensor]
    heads: int = 0
    names: tuple[str, ...] = ()
    multiclass: bool = False
    image_shape: tuple[int, int] | None = None

    def features(self, vectors: Tensor) -> Tensor:
        """Without the answers: (N, d)."""
        return vectors[:, : vectors.shape[1] - self.heads]

    def logits(self, vectors: Tensor) -> Tensor:
        """The answers alone: (N, heads)."""
        return vectors[:, vectors.shape[1] - self.heads :]


def load_extractor(
    kind: str,
    weights: str | None = None,
    device: torch.device | str = "cpu",
    prefix: str = "",
    layer: int | None = None,
) -> Extractor:
    """The extractor called ``kind``.

    ``pixels``: the image at 16 pixels, in as many dimensions. ``cnn``: the last layer of the
    network that ``facegan.classify classify.probe=cnn`` made (see :func:`network_of`), in the file
    ``weights``.
    ``inception``: the network of the FID, of which torch-fidelity gets the weights, or from the
    file ``weights``; ``layer``: an earlier one of it, of ``INCEPTION_LAYERS``, under another name.
    Any other: the torchvision model of that name, before its last layer.
    ``prefix`` of these keys, where a sentence names one.
    """
    expect(
        layer is None or kind == "inception",
        f"{prefix}extractor.layer={layer} is of the Inception network: leave it out, or set "
        f"{prefix}extractor.kind=inception.",
    )
    expect(
        weights is None or kind != "pixels",
        f"{prefix}extractor.weights={weights} is of a network: pixels have none. Leave it out, or "
        f"set {prefix}extractor.kind.",
    )
    if kind == "pixels":
        return Extractor("pixels", "16", _small)
    if kind == "cnn":
        assert weights is not None
        return _classifier(load_classifier(Path(weights), device))
    if kind == "inception":
        return _inception(weights, device, prefix, layer)
    return _backbone(kind, weights, device, prefix)


def _small(images: Tensor) -> Tensor:
    if images.device.type == "mps":  # not every PyTorch can do it there
        images = images.cpu()
    return F.interpolate(images, size=16, mode="area").flatten(1)


def network_of(store: Path, names: Sequence[str], key: str, otherwise: str = "") -> Path:
    """The file of the network that tells ``names`` of the data in ``store``, if there is one.

    ``key``: of the configuration, that can name one; ``otherwise``: what else can be done.

    ``facegan.classify`` keeps it there: it belongs to the data, not to a run, so that all runs are
    measured with one ruler. Raises InputError where there is none, or more than one.
    """
    found = [
        path
        for path in sorted((store / NETWORKS).glob("*.ckpt"))
        if list(load_classifier(path, "cpu").settings.names) == list(names)
    ]
    expect(
        len(found) > 0,
        f"There is no network yet that tells all of {', '.join(names[:3])}"
        f"{', …' if len(names) > 3 else ''} of {store.name}: make it once with python -m "
        "facegan.classify classify.probe=cnn ckpt=RUN_DIR (or, instead of ckpt, the options of the "
        f"data){otherwise}.",
    )
    expect(
        len(found) == 1,
        f"Several networks tell the labels of {store.name}, and numbers of different ones cannot "
        f"be compared: name one of {', '.join(map(str, found))} with "
        f"{key}=FILE.",
    )
    return found[0]


def _classifier(network: Classifier) -> Extractor:
    def read(images: Tensor) -> Tensor:
        hidden = network.network.layers(images)
        return torch.cat([hidden.mean((2, 3)), network.network.logit(hidden).flatten(1)], 1)

    names = tuple(network.settings.classes or network.settings.names)
    return Extractor(
        "cnn",
        _key(network),
        _without_gradients(read),
        heads=len(names),
        names=names,
        multiclass=network.settings.classes is not None,
        image_shape=(network.settings.channels, network.settings.image_size),
    )


def _inception(
    weights: str | None, device: torch.device | str, prefix: str, layer: int | None
) -> Extractor:
    layer = FID_LAYER if layer is None else layer
    expect_one_of(f"{prefix}extractor.layer", layer, INCEPTION_LAYERS)
    last = layer == FID_LAYER
    try:
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
    except ImportError as error:
        raise InputError(
            f"{prefix}extractor.kind=inception needs torch-fidelity: pip install 'facegan[fid]'."
        ) from error
    try:
        if weights:  # torch-fidelity would load anything that is in the file
            torch.load(weights, map_location="cpu", weights_only=True)
        network = FeatureExtractorInceptionV3(
            "inception-v3-compat",
            [str(layer), *(["logits_unbiased"] if last else [])],
            feature_extractor_weights_path=weights,
        )
    except Exception as error:  # a dozen kinds, from urllib's to torch's
        raise InputError(
            f"The weights of Inception cannot be loaded ({error}): download them once where there "
            f"is a network, or name the file in {prefix}extractor.weights."
        ) from error
    network = network.to(device).eval()

    def read(images: Tensor) -> Tensor:
        return torch.cat(network(to_uint8(images).expand(-1, 3, -1, -1)), 1)

    name = network_name("inception", layer)
    heads = network.fc.out_features if last else 0
    return Extractor(name, _key(network), _without_gradients(read), heads, multiclass=last)


def _backbone(kind: str, weights: str | None, device: torch.device | str, prefix: str) -> Extractor:
    from torchvision import models

    expect(
        kind in models.list_models(module=models),
        f"{prefix}extractor.kind={kind} is none of {', '.join(KINDS)}, nor a model of torchvision.",
    )
    try:
        network = models.get_model(kind, weights=None if weights else "DEFAULT")
        if weights:
            network.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    except Exception as error:
        raise InputError(f"The weights of {kind} cannot be loaded: {error}") from error
    last = [name for name in ("fc", "classifier", "head", "heads") if hasattr(network, name)]
    expect(
        bool(last),
        f"{prefix}extractor.kind={kind}: which of its layers is the last is not known here.",
    )
    head = getattr(network, last[0])
    if isinstance(head, nn.Sequential) and isinstance(head[-1], nn.Linear):
        head[-1] = nn.Identity()
    else:
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
