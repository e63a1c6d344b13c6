"""What an extractor is called in the names of metrics."""

FID_LAYER = 2048  # of Inception: its last one, by its width


def network_name(kind: str, layer: int | None = None) -> str:
    """What ``kind`` is called in scores where its ``layer`` is read; ``None``: the last."""
    return kind if layer in (None, FID_LAYER) else f"{kind}_{layer}"
