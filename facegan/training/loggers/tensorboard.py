"""TensorBoard's event files in the run directory."""

from argparse import Namespace
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image
from pytorch_lightning.loggers import TensorBoardLogger as LightningTensorBoardLogger

from facegan.lightning_internals import hide_events_after


class TensorBoardLogger(LightningTensorBoardLogger):
    """TensorBoard's event files in the run directory.

    Its HPARAMS tab shows the model's hyper-parameters by their names, and data, trainer and other
    parts of the configuration as ``dataset/batch_size``.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._configuration: dict[str, Any] = {}

    def log_configuration(self, config: Mapping[str, Any]) -> None:
        """Show ``config`` beside the hyper-parameters, which Lightning logs when training starts.

        TensorBoard shows only the first set of hyper-parameters that a run logs.
        """
        self._configuration = {key: config[key] for key in config if key != "model"}

    def log_hyperparams(
        self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any
    ) -> None:
        params = vars(params) if isinstance(params, Namespace) else params
        super().log_hyperparams({**params, **self._configuration}, *args, **kwargs)

    def log_image(self, key: str, images: Sequence[Image.Image], step: int) -> None:
        """Show the only one of ``images``."""
        (image,) = images
        pixels = np.asarray(image.convert("RGB"))
        self.experiment.add_image(key, pixels, step, dataformats="HWC")

    def log_table(
        self, key: str, columns: Sequence[str], data: Sequence[Sequence[Any]], step: int
    ) -> None:
        """Show a table as text: TensorBoard has no tables."""
        lines = [columns, ["---"] * len(columns), *data]
        text = "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)
        self.experiment.add_text(key, text, step)

    def rewind(self, images_seen: int) -> None:
        """Hide what was logged after ``images_seen``, which a resumed run logs again."""
        hide_events_after(self, images_seen if images_seen > 0 else -1)
