"""How good generated images are: numbers from two sets of vectors, real and generated.

Pure functions over float tensors (N, d) as an extractor gives them, on the CPU.
"""

FIELD_NAMES = {"fd": "fid", "kd": "kid"}  # what the field calls them, with Inception
METRICS = ("fd", "kd", "is", "prdc", "swd", "msssim", "prevalence", "new")
BETTER = {  # the direction in which a score improves
    **dict.fromkeys(("fd", "fid", "kd", "kid", "swd", "prevalence", "copies"), "min"),
    **dict.fromkeys(("is", "precision", "recall", "density", "coverage"), "max"),
}


def better(name: str) -> str | None:
    """The direction in which the score called ``name`` improves; ``None`` where there is none."""
    return BETTER.get(name.partition("_")[0].partition("/")[0])


FID_LAYER = 2048  # of Inception: its last one, by its width


def network_name(kind: str, layer: int | None = None) -> str:
    """What ``kind`` is called in scores where its ``layer`` is read; ``None``: the last."""
    return kind if layer in (None, FID_LAYER) else f"{kind}_{layer}"


def name_of(score: str, extractor: str) -> str:
    """What ``score`` is called where ``extractor`` reads the images: ``fid``, or ``fd_cnn`` …

    Only with Inception may a number have the field's name: with any other network it has that
    network's, so that nobody mistakes it.
    """
    if score.startswith(("swd", "msssim")):  # of the pixels themselves
        return score
    if extractor == "inception":
        return FIELD_NAMES.get(score, score)
    return f"{score}_{extractor}"
