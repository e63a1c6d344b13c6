"""Names of metrics and the direction in which they improve."""

FIELD_NAMES = {"fd": "fid", "kd": "kid"}  # what the field calls them, with Inception
METRICS = ("fd", "kd", "is", "prdc", "swd", "msssim", "prevalence", "new")
BETTER = {  # the direction in which a score improves
    **dict.fromkeys(("fd", "fid", "kd", "kid", "swd", "prevalence", "copies"), "min"),
    **dict.fromkeys(("is", "precision", "recall", "density", "coverage"), "max"),
}


def better(name: str) -> str | None:
    """The direction in which the score called ``name`` improves; ``None`` where there is none."""
    return BETTER.get(name.partition("_")[0].partition("/")[0])


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
