"""TensorBoard's event files in the run directory."""

from pytorch_lightning.loggers import TensorBoardLogger as LightningTensorBoardLogger


class TensorBoardLogger(LightningTensorBoardLogger):
    """TensorBoard's event files in the run directory."""

    def go_on_after(self, images_seen: int) -> None:
        """Have TensorBoard hide what was written after that: it is going to be written again."""
        self._kwargs["purge_step"] = images_seen + 1 if images_seen > 0 else 0
