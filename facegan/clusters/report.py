"""What a person looks at after a clustering: contact sheet, map, table, and a short text."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from facegan.clusters.analysis import Result
from facegan.clusters.kmeans import Clusters
from facegan.clusters.scores import SIGNIFICANT, Association
from facegan.files import write_csv
from facegan.pictures import plots
from facegan.pictures.sheets import captioned, grid, heading, side_by_side

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
    drawn: Sequence[Tensor] = ()
    if generated is not None and result.coverage is not None:
        drawn = _drawn(generated, result.generated, result.clusters.k)
    captions = []
    for number, size in enumerate(result.clusters.sizes):
        caption = f"{number}: {size / len(result.points):.1%}"
        if drawn and result.coverage is not None:
            caption += f", generated {result.coverage.generated[number]:.1%}"
        captions.append("\n".join([caption, *result.typical(number)]))
    return contact_sheet(result.points, result.clusters, captions, real, drawn)


def contact_sheet(
    points: np.ndarray,
    clusters: Clusters,
    captions: Sequence[str],
    real: Images,
    drawn: Sequence[Tensor] = (),
) -> Image.Image:
    """The rows of :func:`sheet` with any captions; ``drawn``: generated images of each cluster."""
    rng = np.random.default_rng(0)
    gaps = ((points - clusters.centroids[clusters.assignments]) ** 2).sum(1)
    rows = []
    for number, caption in enumerate(captions):
        members = np.flatnonzero(clusters.assignments == number)
        order = members[np.argsort(gaps[members], kind="stable")]
        at_random = rng.permutation(order[NEAREST:])[:RANDOM]
        strips = [_strip(real(order[:NEAREST]), NEAREST), _strip(real(at_random), RANDOM)]
        if drawn:
            strips.append(_strip(drawn[number], GENERATED))
        rows.append((caption, side_by_side(strips)))
    titles = ("nearest to the centre", "at random", "generated")
    heads = [heading(text, strip.width) for text, strip in zip(titles, strips, strict=False)]
    rows.insert(0, ("", side_by_side(heads)))
    return captioned(rows, size=12)


def _drawn(generated: Images, fallen: np.ndarray, k: int) -> Sequence[Tensor]:
    """Some images of every cluster, in one go: a generator takes as long for four as for 64."""
    numbers = [np.flatnonzero(fallen == number)[:GENERATED] for number in range(k)]
    return generated(np.concatenate(numbers)).split([len(part) for part in numbers])


def _strip(images: Tensor, columns: int) -> Image.Image:
    """A row of ``columns`` places, white where there are fewer images."""
    missing = columns - len(images)
    return grid(F.pad(images, (0, 0, 0, 0, 0, 0, 0, missing), value=255), columns)


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
    """A sentence on the clusters of real images that the generator does not reach."""
    assert result.coverage is not None
    real, numbers = result.coverage.real, result.coverage.unvisited
    largest = max(numbers, key=lambda number: real[number])
    typical = ", ".join(result.typical(largest))
    return (
        f"No generated image falls into {len(numbers)} of {result.clusters.k} clusters, "
        f"{real[numbers].sum():.0%} of the real images; the largest of them is cluster {largest}"
        f"{f' ({typical})' if typical else ''}: mode collapse?"
    )


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
