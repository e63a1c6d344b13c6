"""Contact sheet, map, table and text of a clustering."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from facegan.clusters.analysis import Analysis
from facegan.clusters.kmeans import Clustering
from facegan.clusters.probe import LabelProbe
from facegan.clusters.scores import SIGNIFICANT, Association
from facegan.features.stream import RawImages
from facegan.files import write_csv
from facegan.pictures import plots
from facegan.pictures.sheets import captioned, grid, heading, side_by_side

NEAREST, RANDOM, GENERATED = 6, 6, 4  # images per row of the sheet
MAPPED = 600  # images in the map after each epoch, where it must be quick
PANELS = 6  # of the map
TABLE = ["name", *Association.__dataclass_fields__]  # columns of attributes.csv
COMPARED = ["cluster", "name", "size", "share", "generated", "generated_share"]  # of clusters.csv


def sheet(analysis: Analysis, real: RawImages, generated: RawImages | None = None) -> Image.Image:
    """A row per cluster: images nearest to its centroid, random ones, and generated ones.

    The caption gives its number and name, its share of real (and of generated) images, and the most
    over-represented attributes with their lift. ``real``, ``generated``: images by number.
    """
    clusters, covered = analysis.clusters, analysis.coverage
    drawn: Sequence[Tensor] = ()
    if generated is not None and covered is not None:
        drawn = _by_cluster(generated, analysis.generated, clusters.k)
    captions = []
    for number, size in enumerate(clusters.sizes):
        shares = f"real {size / len(analysis.points):.1%}"
        if drawn and covered is not None:
            shares += f", generated {covered.generated[number]:.1%}"
        typical = ", ".join(analysis.typical(number))
        captions.append("\n".join([analysis.title(number), shares, typical]).rstrip())
    return contact_sheet(analysis.points, clusters, captions, real, drawn)


def contact_sheet(
    points: np.ndarray,
    clusters: Clustering,
    captions: Sequence[str],
    real: RawImages,
    generated: Sequence[Tensor] = (),
) -> Image.Image:
    """The rows of :func:`sheet` with given captions.

    ``points`` (N, c): what ``clusters`` assigns. ``generated``: uint8 images of each cluster.
    """
    rng = np.random.default_rng(0)
    distances = clusters.distances(points)
    rows = []
    for number, caption in enumerate(captions):
        members = np.flatnonzero(clusters.assignments == number)
        order = members[np.argsort(distances[members], kind="stable")]
        at_random = rng.permutation(order[NEAREST:])[:RANDOM]
        strips = [_strip(real(order[:NEAREST]), NEAREST), _strip(real(at_random), RANDOM)]
        if generated:
            strips.append(_strip(generated[number], GENERATED))
        rows.append((caption, side_by_side(strips)))
    titles = ("nearest to the centre", "at random", "generated")
    heads = [heading(text, strip.width) for text, strip in zip(titles, strips, strict=False)]
    rows.insert(0, ("", side_by_side(heads)))
    return captioned(rows, size=12)


def _by_cluster(generated: RawImages, assignments: np.ndarray, k: int) -> Sequence[Tensor]:
    """Some images of every cluster, generated in one go: blocks of 64 cost as much as four."""
    numbers = [np.flatnonzero(assignments == number)[:GENERATED] for number in range(k)]
    return generated(np.concatenate(numbers)).split([len(part) for part in numbers])


def _strip(images: Tensor, columns: int) -> Image.Image:
    """A row of ``columns`` images, white where there are fewer."""
    missing = columns - len(images)
    return grid(F.pad(images, (0, 0, 0, 0, 0, 0, 0, missing), value=255), columns)


def attribute_map(analysis: Analysis, layout: np.ndarray) -> Image.Image:
    """The first n images at ``layout`` (n, 2), coloured by cluster and by attribute.

    The attributes are the chosen ones, or else those with the highest NMI.
    """
    count = len(layout)
    digits = len(str(analysis.clusters.k - 1))  # spaces before a number: names are sorted
    titles = [" " * (digits - len(str(i))) + analysis.title(i) for i in range(analysis.clusters.k)]
    panels = {"cluster": np.array(titles)[analysis.clusters.assignments[:count]]}
    labels = analysis.labels
    by_nmi = sorted(labels.names, key=lambda name: -analysis.scores[f"nmi/{name}"])
    for name in (labels.names if labels.combined else by_nmi)[: PANELS - 1]:
        values = labels.values[:count, list(labels.names).index(name)]
        panels[name] = np.array([labels.meaning(name, int(value)) for value in values])
    return plots.scatter(layout, panels)


def write_tables(analysis: Analysis, directory: Path) -> None:
    """``attributes.csv``: a row per cluster and attribute; ``clusters.csv``: a row per cluster."""
    write_csv(directory / "attributes.csv", TABLE, attribute_rows(analysis))
    write_csv(directory / "clusters.csv", COMPARED, compared_rows(analysis))


def attribute_rows(analysis: Analysis) -> list[dict[str, Any]]:
    """The rows of ``attributes.csv``, by column."""
    return [
        {"name": analysis.names[found.cluster], **asdict(found)} for found in analysis.associations
    ]


def compared_rows(analysis: Analysis) -> list[dict[str, Any]]:
    """The rows of ``clusters.csv``, by column: a cluster's images, real and generated."""
    count, covered = len(analysis.points), analysis.coverage
    drawn = np.bincount(analysis.generated, minlength=analysis.clusters.k)
    return [
        {
            "cluster": number,
            "name": analysis.names[number],
            "size": int(size),
            "share": size / count,
            "generated": int(drawn[number]) if covered else None,
            "generated_share": covered.generated[number] if covered else None,
        }
        for number, size in enumerate(analysis.clusters.sizes)
    ]


def write_assignments(
    names: Sequence[str],
    points: np.ndarray,
    clusters: Clustering,
    path: Path,
    probe: LabelProbe | None = None,
) -> None:
    """Write the cluster of each image ``name`` and the distance of its point to the centroid.

    With the ``probe`` that the points (N, heads) are of: also the probability of each of its heads.
    """
    columns = ["name", "cluster", "distance", *(probe.heads if probe else ())]
    rows = []
    for i, distance in enumerate(clusters.distances(points)):
        row = [names[i], int(clusters.assignments[i]), f"{distance:.4f}"]
        if probe:
            row += [f"{value:.4f}" for value in points[i] * probe.spread.numpy()]
        rows.append(dict(zip(columns, row, strict=True)))
    write_csv(path, columns, sorted(rows, key=lambda row: str(row["name"])))


def unvisited(analysis: Analysis) -> str:
    """One sentence on the clusters without generated images, the largest of them by name."""
    assert analysis.coverage is not None
    real, numbers = analysis.coverage.real, analysis.coverage.unvisited
    largest = max(numbers, key=lambda number: real[number])
    name = analysis.names[largest] or ", ".join(analysis.typical(largest))
    return (
        f"No generated image falls into {len(numbers)} of {analysis.clusters.k} clusters, "
        f"{real[numbers].sum():.1%} of the real images; the largest of them is cluster {largest}"
        f"{f' ({name})' if name else ''}: mode collapse?"
    )


def text(analysis: Analysis, title: str) -> str:
    """A report in Markdown: the clusters, and how well they agree with the labels."""
    clusters, scores, covered = analysis.clusters, analysis.scores, analysis.coverage
    count = len(analysis.points)
    lines = [
        f"# {clusters.k} clusters of {count:,} images",
        "",
        f"{title}; silhouette {scores['silhouette']:.3f}.",
        "",
        f"| cluster | name | images | share |{' generated |' if covered else ''} typical (lift) |",
        f"|---:|---|---:|---:|{'---:|' if covered else ''}---|",
    ]
    for number, size in enumerate(clusters.sizes):
        share = f" {covered.generated[number]:.1%} |" if covered else ""
        typical = ", ".join(analysis.typical(number)).replace("|", "\\|")
        name = analysis.names[number].replace("|", "\\|")
        lines.append(f"| {number} | {name} | {size:,} | {size / count:.1%} |{share} {typical} |")
    if analysis.associations:
        lines += [
            "",
            f"Typical: over-represented at a false discovery rate of {SIGNIFICANT:.0%}.",
            "",
            f"Agreement with the labels of {analysis.images}:",
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
            lines += ["", unvisited(analysis)]
    return "\n".join(lines) + "\n"
