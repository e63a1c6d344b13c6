"""Names of extractors in the names of metrics."""

FID_LAYER = 2048  # width of Inception's last layer


def network_name(kind: str, layer: int | None = None) -> str:
    """Name of the extractor ``kind`` read at ``layer``; ``None``: its last."""
    return kind if layer in (None, FID_LAYER) else f"{kind}_{layer}"
