"""Feature extractors: images to vectors, each with the name that scores on its vectors carry.

Only with ``inception`` may a score be called FID or KID.
"""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision import models

from facegan.errors import InputError
from facegan.features.classifier import Classifier, load_classifier
from facegan.features.names import FID_LAYER, network_name
from facegan.networks.weights import weights_key
from facegan.pictures.scaling import to_uint8

INCEPTION_LAYERS = (64, 192, 768, FID_LAYER)  # named by their width
LAST_LAYERS = ("fc", "classifier", "head", "heads")  # of torchvision's models
NETWORKS = "networks"  # directory beside the packed images

log = logging.getLogger(__name__)


class Output(NamedTuple):
    """An extractor's output for N images."""

    features: Tensor  # (N, d) float32
    logits: Tensor | None = None  # (N, num_logits) float32; None: it has no logits

    def packed(self) -> Tensor:
        """Features and logits side by side (N, d + num_logits), to stream and to save."""
        return self.features if self.logits is None else torch.cat(self, 1)  # type: ignore[arg-type]


class Extractor(nn.Module):
    """A network from images in [-1, 1] (N, C, H, W) to features, and to logits if it has any.

    Args:
        name: of the network, in the names of scores.
        key: changes when its weights do.
        num_logits: number of logits; 0: none.
        labels: names of the data's labels that the logits predict, if they do.
        multiclass: whether the logits are of classes, of which an image has exactly one.
        image_shape: channels and side in pixels of the images it can read; ``None``: any.
    """

    def __init__(
        self,
        name: str,
        key: str,
        *,
        num_logits: int = 0,
        labels: Sequence[str] = (),
        multiclass: bool = False,
        image_shape: tuple[int, int] | None = None,
    ) -> None:
        super().__init__()
        self.name, self.key = name, key
        self.num_logits, self.labels, self.multiclass = num_logits, tuple(labels), multiclass
        self.image_shape = image_shape

    def forward(self, images: Tensor) -> Output:
        """Features, and logits if there are any; subclasses implement it."""
        raise NotImplementedError

    @torch.inference_mode()
    def read(self, images: Tensor) -> Output:
        """The output for ``images``, float32 and without gradients."""
        features, logits = self(images)
        return Output(features.float(), None if logits is None else logits.float())

    def unpack(self, vectors: Tensor) -> Output:
        """The inverse of :meth:`Output.packed`."""
        if not self.num_logits:
            return Output(vectors)
        return Output(vectors[:, : -self.num_logits], vectors[:, -self.num_logits :])


class Pixels(Extractor):
    """The image itself at 16 x 16 pixels: coarse, but it needs no network."""

    def __init__(self) -> None:
        super().__init__("pixels", "16")

    def forward(self, images: Tensor) -> Output:
        if images.device.type == "mps":  # older PyTorch cannot do this on MPS
            images = images.cpu()
        return Output(F.interpolate(images, size=16, mode="area").flatten(1))


class LabelNetwork(Extractor):
    """The last layer of a label classifier, averaged over the image, and its logits.

    ``settings``: the arguments of the :class:`Classifier`.
    """

    def __init__(self, classifier: Classifier) -> None:
        settings = classifier.settings
        labels = settings.classes or settings.names
        super().__init__(
            "cnn",
            weights_key(classifier),
            num_logits=len(labels),
            labels=labels,
            multiclass=settings.classes is not None,
            image_shape=(settings.channels, settings.image_size),
        )
        self.network, self.settings = classifier.network, settings

    def forward(self, images: Tensor) -> Output:
        hidden: Tensor = self.network.layers(images)
        return Output(hidden.mean((2, 3)), self.network.logit(hidden).flatten(1))


class StackedNetwork(Extractor):
    """A label network of grey images on each channel of images that are stacks of such.

    Features and logits of the channels one after the other. It predicts no label of the data.
    """

    def __init__(self, network: LabelNetwork, channels: int) -> None:
        assert network.image_shape is not None
        super().__init__(
            network.name,
            network.key,
            num_logits=channels * network.num_logits,
            image_shape=(channels, network.image_shape[1]),
        )
        self.network = network

    def forward(self, images: Tensor) -> Output:
        features, logits = self.network(images.flatten(0, 1).unsqueeze(1))
        return Output(*(part.reshape(len(images), -1) for part in (features, logits)))

    def predicted(self, logits: Tensor) -> Tensor:
        """The class in each channel (N, channels), of logits (N, num_logits)."""
        return logits.unflatten(1, (-1, self.network.num_logits)).argmax(2)


class Inception(Extractor):
    """torch-fidelity's Inception, which defines the FID; it has logits only with its last layer."""

    def __init__(self, network: nn.Module, layer: int) -> None:
        last = layer == FID_LAYER
        classes: int = network.fc.out_features if last else 0  # type: ignore[union-attr, assignment]
        name = network_name("inception", layer)
        super().__init__(name, weights_key(network), num_logits=classes, multiclass=last)
        self.network = network

    def forward(self, images: Tensor) -> Output:
        return Output(*self.network(to_uint8(images).expand(-1, 3, -1, -1)))


class TorchvisionNetwork(Extractor):
    """A torchvision model before its last layer, on images scaled to 224 pixels."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, kind: str, network: nn.Module) -> None:
        super().__init__(kind, weights_key(network))
        self.network = network
        # ImageNet's, which torchvision's weights were trained with.
        for name, of in (("mean", [0.485, 0.456, 0.406]), ("deviation", [0.229, 0.224, 0.225])):
            self.register_buffer(name, torch.tensor(of)[:, None, None], persistent=False)

    def forward(self, images: Tensor) -> Output:
        larger = F.interpolate(images, size=224, mode="bilinear", antialias=True)
        scaled = (larger.expand(-1, 3, -1, -1) / 2 + 0.5 - self.mean) / self.deviation
        return Output(self.network(scaled).flatten(1))


def load_extractor(
    kind: str,
    weights: str | None = None,
    layer: int | None = None,
    device: torch.device | str = "cpu",
    key: str = "extractor",
) -> Extractor:
    """The extractor ``kind`` in eval mode on ``device``.

    Args:
        kind: ``pixels``; ``cnn``, the label network in the file ``weights`` (see
            :func:`find_label_network`); ``inception``; or the name of a torchvision model.
        weights: a file; ``None``: torch-fidelity's or torchvision's, which are downloaded.
        layer: of Inception, one of ``INCEPTION_LAYERS``; ``None``: that of the FID.
        key: configuration key of these settings, for error messages.

    Raises:
        InputError: for an unknown kind, or weights that cannot be loaded.
    """
    extractor: Extractor
    if kind == "pixels":
        extractor = Pixels()
    elif kind == "cnn":
        assert weights is not None, "see find_label_network"
        extractor = LabelNetwork(load_classifier(Path(weights).expanduser(), "cpu"))
    elif kind == "inception":
        layer = FID_LAYER if layer is None else layer
        extractor = Inception(_load_inception(weights, layer, key), layer)
    else:
        extractor = TorchvisionNetwork(kind, _load_backbone(kind, weights, key))
    return extractor.to(device).eval()


def find_label_network(
    store: Path,
    labels: Sequence[str],
    key: str,
    alternative: str = "",
    options: str = "ckpt=RUN_DIR (or, instead of ckpt, the options of the data)",
) -> Path:
    """The file of the label network that predicts ``labels`` of the data packed in ``store``.

    ``facegan.classify`` writes it there: it belongs to the data, not to a run, so that all runs are
    measured alike. Earlier versions trained several widths, of which the widest is used.

    Raises InputError if there is no such network (``alternative``: what else the user can do;
    ``options``: of the command that trains it), or more than one of the greatest width (``key``:
    with which one can be chosen).
    """
    widths = {
        path: int(network.settings.width)
        for path in sorted((store / NETWORKS).glob("*.ckpt"))
        if list((network := load_classifier(path, "cpu")).settings.names) == list(labels)
    }
    if not widths:
        raise InputError(
            f"There is no network yet that predicts {', '.join(labels[:3])}"
            f"{', …' if len(labels) > 3 else ''} of {store.name}: train it once with python -m "
            f"facegan.classify classify.probe=cnn {options}{alternative}."
        )
    widest = [path for path, width in widths.items() if width == max(widths.values())]
    if len(widest) > 1:
        raise InputError(
            f"Several networks predict the labels of {store.name}, and scores of different ones "
            f"cannot be compared: name one of {', '.join(map(str, widest))} with {key}=FILE."
        )
    if len(widths) > 1:
        log.info("Of %d label networks, the widest is used: %s", len(widths), widest[0])
    return widest[0]


def _load_inception(weights: str | None, layer: int, key: str) -> nn.Module:
    try:  # an optional extra
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
    except ImportError as error:
        raise InputError(
            f"{key}.kind=inception needs torch-fidelity: pip install 'facegan[fid]'."
        ) from error
    outputs = [str(layer), *(["logits_unbiased"] if layer == FID_LAYER else [])]
    try:
        if weights:  # torch-fidelity would unpickle anything
            torch.load(weights, map_location="cpu", weights_only=True)
        network: nn.Module = FeatureExtractorInceptionV3(
            "inception-v3-compat", outputs, feature_extractor_weights_path=weights
        )
    except Exception as error:  # a dozen kinds, from urllib's to torch's
        raise InputError(
            f"The weights of Inception cannot be loaded ({error}): download them once on a machine "
            f"with network access, or name the file in {key}.weights."
        ) from error
    return network


def _load_backbone(kind: str, weights: str | None, key: str) -> nn.Module:
    if kind not in models.list_models(module=models):
        raise InputError(
            f"{key}.kind={kind} must be pixels, cnn, inception or a model of torchvision."
        )
    try:
        network: Any = models.get_model(kind, weights=None if weights else "DEFAULT")
        if weights:
            network.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    except Exception as error:  # a dozen kinds, from urllib's to torch's
        raise InputError(f"The weights of {kind} cannot be loaded: {error}") from error
    last = next((name for name in LAST_LAYERS if hasattr(network, name)), None)
    if last is None:
        raise InputError(f"{key}.kind={kind} has no last layer named {', '.join(LAST_LAYERS)}.")
    head = getattr(network, last)
    if isinstance(head, nn.Sequential) and isinstance(head[-1], nn.Linear):
        head[-1] = nn.Identity()
    else:
        setattr(network, last, nn.Identity())
    return network
