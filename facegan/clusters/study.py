"""Cluster a data set and write everything about its clusters."""

import logging
from pathlib import Path

from facegan.clusters import report
from facegan.clusters.analysis import Analysis, analyse
from facegan.clusters.map import embed
from facegan.clusters.points import read_points
from facegan.clusters.saved import save
from facegan.clusters.selection import select
from facegan.clusters.settings import ClusterSettings
from facegan.data.module import ImageDataModule
from facegan.features.reading import reader
from facegan.files import expect_writable, replacing, write_json
from facegan.gan.gan import GAN
from facegan.pictures.sheets import save_png

log = logging.getLogger(__name__)

MAP_IMAGES = 2000  # in map.png


def study(
    gan: GAN,
    data: ImageDataModule,
    settings: ClusterSettings,
    out: Path,
    checkpoint: Path | None = None,
) -> Analysis:
    """Cluster images of ``data`` by what the discriminator sees in them.

    Writes into ``out``: ``sheet.png``, ``map.png``, ``attributes.csv``, ``assignments.csv``,
    ``clusters.csv``, ``metrics.json``, ``report.md``, and ``centroids.npz``, to which
    :func:`facegan.clusters.saved.assign` assigns new pictures. ``checkpoint``: file that ``gan``
    came from, to be named in the report.

    Raises InputError, before any features are read, if the settings do not fit network or data, or
    if ``out`` is not writable.
    """
    if settings.reads_features:
        reader("features", gan.discriminator, settings.layers)  # raises for unknown layers
    selection = select(data, settings)
    rows = selection.rows
    expect_writable(out)
    points = read_points(settings, data, gan, selection)
    log.info("Clustering %s images …", f"{len(rows):,}")
    analysis = analyse(
        points.real,
        selection,
        settings.seed,
        generated=points.generated,
        start=points.start,
    )
    if analysis.clusters.k < selection.k:
        log.warning(
            "Only %d points differ: there are as many clusters, not %d.",
            analysis.clusters.k,
            selection.k,
        )

    sheet = report.sheet(analysis, lambda numbers: data.raw_images(rows[numbers]), points.images_of)
    save_png(sheet, out / "sheet.png")
    layout = embed(analysis.points[:MAP_IMAGES], settings.seed)
    save_png(report.attribute_map(analysis, layout), out / "map.png")
    report.write_tables(analysis, out)
    names = [data.store.names[row] for row in rows]
    path = out / "assignments.csv"
    report.write_assignments(names, points.real, analysis.clusters, path, points.probe)
    source = None if checkpoint is None else str(checkpoint)
    facts = {"checkpoint": source, "data": data.name, "images": analysis.images}
    write_json(out / "metrics.json", {**facts, **analysis.scores})
    for stale in out.glob("predictions.*"):  # assignments to the clusters replaced here
        stale.unlink()
    save(analysis, points, settings, gan, out)
    title = ", ".join([*([source] if source else []), data.name, selection.split])
    text = report.text(analysis, title)
    with replacing(out / "report.md") as partial:
        partial.write_text(text, encoding="utf-8", errors="surrogateescape")
    log.info("%s\nSheet, map, assignments and centroids are in %s", text, out)
    return analysis
