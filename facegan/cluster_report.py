"""What a person looks at after a clustering: contact sheet, map, table, and a short text."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
from PIL import Image
from torch import Tensor

from facegan import media, plots
from facegan.clustering import SIGNIFICANT, Association, Clusters, Result
from facegan.files import write_csv

NEAREST, RANDOM, GENERATED = 6, 6, 4  # pictures in a row of the sheet
MAPPED = 600  # points in the map, where it must be quick
PANELS = 6  # of the map
TABLE = list(Association.__dataclass_fields__)

Images = Callable[[np.ndarray], Tensor]  # numbers of images to uint8 (N, C, H, W)


def sheet(result: Result, real: Images, generated: Images | None = None) -> Image.Image:
    """A row per cluster: the images nearest to its centre, random ones, generated ones.

    Its caption: number, share of the real (and generated) images, and the attributes most
    over-represented, each with its lift.
    """
    covered = result.coverage if generated is not None else None
    captions = []
    for number, size in enumerate(result.clusters.sizes):
        caption = f"{number}: {size / len(result.points):.1%}"
        if covered is not None:
            caption += f", generated {covered.generated[number]:.1%}"
        captions.append("\n".join([caption, *result.typical(number)]))
    return contact_sheet(
        result.points,
        result.clusters,
        captions,
        real,
        generated if covered is not None else None,
        result.generated,
    )


def contact_sheet(
    points: np.ndarray,
    clusters: Clusters,
    captions: Sequence[str],
    real: Images,
    generated: Images | None = None,
    fallen: np.ndarray | None = None,
) -> Image.Image:
    """The rows of :func:`sheet` with any captions; ``fallen``: clusters of generated images."""
    rng = np.random.default_rng(0)
    gaps = ((points - clusters.centroids[clusters.assignments]) ** 2).sum(1)
    rows = []
    for number, caption in enumerate(captions):
        members = np.flatnonzero(clusters.assignments == number)
        order = members[np.argsort(gaps[members], kind="stable")]
        at_random = rng.permutation(order[NEAREST:])[:RANDOM]
        strips = [_strip(real, order[:NEAREST], NEAREST), _strip(real, at_random, RANDOM)]
        if generated is not None and fallen is not None:
            strips.append(_strip(generated, np.flatnonzero(fallen == number), GENERATED))
        rows.append((caption, media.side_by_side(strips)))
    titles = ("nearest to the centre", "at random", "generated")
    heads = [media.heading(text, strip.width) for text, strip in zip(titles, strips, strict=False)]
    rows.insert(0, ("", media.side_by_side(heads)))
    return media.captioned(rows, size=12)


def _strip(images: Images, numbers: np.ndarray, columns: int) -> Image.Image:
    """A row of ``columns`` pictures, white where there are fewer."""
    count = min(len(numbers), columns)
    shown = images(np.resize(numbers[:columns], columns) if count else np.zeros(columns, np.int64))
    shown[count:] = 255
    return media.grid(shown, columns)


def attribute_map(result: Result, layout: np.ndarray) -> Image.Image:
    """The first ``len(layout)`` images at ``layout`` (n, 2), by cluster and by attribute.

    The attributes shown are the chosen ones, or else those the clusters say most about.
    """
    count = len(layout)
    panels = {"cluster": result.clusters.assignments[:count]}
    labels = result.labels
    by_information = sorted(labels.names, key=lambda name: -result.scores[f"nmi/{name}"])
    for name in (labels.names if labels.combined else by_information)[: PANELS - 1]:
        values = labels.values[:count, list(labels.names).index(name)]
        panels[name] = np.array([labels.meaning(name, int(value)) for value in values])
    return plots.scatter(layout, panels)


def write_table(result: Result, path: Path) -> None:
    """``attributes.csv``: a row for each cluster and attribute."""
    write_csv(path, TABLE, (asdict(found) for found in result.associations))


def unvisited(result: Result) -> str:
    """A sentence that names the clusters of real images that the generator does not reach."""
    assert result.coverage is not None
    named = []
    for number in result.coverage.unvisited:
        typical = ", ".join(result.typical(number))
        share = f"{result.coverage.real[number]:.0%} of the real images"
        named.append(f"{number} ({share}{': ' + typical if typical else ''})")
    several = "s" if len(named) > 1 else ""
    return f"No generated image falls into cluster{several} {', '.join(named)}: mode collapse?"


def text(result: Result, title: str) -> str:
    """A short report in Markdown: the clusters, and how well they agree with the labels."""
    clusters, scores, covered = result.clusters, result.scores, result.coverage
    count = len(result.points)
    lines = [
        f"# {clusters.k} clusters of {count:,} images",
        "",
        f"{title}; silhouette {scores['silhouette']:.3f}.",
        "",
        f"| cluster | images | share |{' generated |' if covered else ''} typical (lift) |",
        f"|---:|---:|---:|{'---:|' if covered else ''}---|",
    ]
    for number, size in enumerate(clusters.sizes):
        share = f" {covered.generated[number]:.1%} |" if covered else ""
        typical = ", ".join(result.typical(number))
        lines.append(f"| {number} | {size:,} | {size / count:.1%} |{share} {typical} |")
    if result.associations:
        lines += [
            "",
            f"Typical: over-represented at a false discovery rate of {SIGNIFICANT:.0%}.",
            "",
            "| label | NMI | ARI | purity |",
            "|---|---:|---:|---:|",
        ]
        names = [name.removeprefix("nmi/") for name in scores if name.startswith("nmi/")]
        names = [name for name in names if f"ari/{name}" in scores]
        for name in sorted(names, key=lambda name: -scores[f"nmi/{name}"]):
            values = (scores[f"{score}/{name}"] for score in ("nmi", "ari", "purity"))
            lines.append(f"| {name} | {' | '.join(f'{value:.3f}' for value in values)} |")
    if covered:
        lines += [
            "",
            f"Generated against real images: {covered.ndb} of {clusters.k} clusters differ (NDB), "
            f"Jensen-Shannon divergence {covered.js:.3f} nats.",
        ]
        if covered.unvisited:
            lines += ["", unvisited(result)]
    return "\n".join(lines) + "\n"
