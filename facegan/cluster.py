"""Group images by what a trained discriminator sees: ``python -m facegan.cluster ckpt=RUN_DIR``.

With ``predict=DIR``, assign new pictures to the clusters that an earlier call found.
"""

import logging
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig

from facegan.cli.conf import build
from facegan.cli.inputs import build_data, out_dir, pictures_in
from facegan.cli.run import run
from facegan.cli.run_data import with_data_of_the_run
from facegan.errors import InputError, expect, expect_seed
from facegan.files import replacing, write_csv, write_json
from facegan.run_dir import run_dir_of

if TYPE_CHECKING:
    import numpy as np

    from facegan.clusters.analysis import Result
    from facegan.clusters.kmeans import Clusters
    from facegan.clusters.points import Points
    from facegan.clusters.settings import ClusterSettings
    from facegan.gan.gan import GAN
log = logging.getLogger(__name__)

MAPPED = 2000  # images in map.png


def cluster(cfg: DictConfig) -> None:
    """Cluster the images of ``cfg.dataset`` and write everything about it into ``cfg.out``."""
    expect(cfg.ckpt is not None, "Say whose features to cluster: ckpt=FILE or ckpt=RUN_DIR.")
    expect_seed("seed", cfg.seed)
    from facegan.gan.checkpoint import checkpoint_file, load_gan

    settings: ClusterSettings = build(cfg, "clustering")
    path = checkpoint_file(cfg.ckpt)
    gan = load_gan(path, cfg.device)
    name = path.stem if settings.space == "features" else f"{path.stem}_{settings.space}"
    out = out_dir(cfg, run_dir_of(path) / "clusters" / name)
    if cfg.predict is not None:
        _predict(cfg, gan, out)
    else:
        _study(cfg, gan, settings, path, out)


def _study(cfg: DictConfig, gan: "GAN", settings: "ClusterSettings", path: Path, out: Path) -> None:
    from facegan.clusters import report as cluster_report
    from facegan.clusters.analysis import analyse
    from facegan.clusters.map import embed
    from facegan.clusters.points import chosen_labels, read_points
    from facegan.pictures.sheets import save_png

    data = build_data(cfg, gan.settings)
    rows = data.subset(settings.split, settings.n, settings.seed)
    labels = chosen_labels(data, rows, settings)
    points = read_points(settings, data, gan, rows, labels)
    log.info("Clustering %s images …", f"{len(rows):,}")
    result = analyse(points.real, labels, settings, generated=points.generated)
    if result.clusters.k < settings.k:
        log.warning("There are only %d different points, and so clusters.", result.clusters.k)

    sheet = cluster_report.sheet(
        result, lambda numbers: data.raw_images(rows[numbers]), points.images_of
    )
    save_png(sheet, out / "sheet.png")
    layout = embed(result.points[:MAPPED], settings.seed)
    save_png(cluster_report.attribute_map(result, layout), out / "map.png")
    cluster_report.write_table(result, out / "attributes.csv")
    write_csv(
        out / "assignments.csv",
        ["name", "cluster", "distance"],
        _assigned([data.store.names[row] for row in rows], result.points, result.clusters),
    )
    write_json(out / "metrics.json", {"checkpoint": str(path), "data": data.name, **result.scores})
    for stale in out.glob("predictions.*"):  # into the clusters that were here before
        stale.unlink()
    _save_clusters(out / "centroids.npz", settings, points, result, gan.images_seen)
    title = f"{path}, {data.name}, {settings.split}"
    report = cluster_report.text(result, title)
    with replacing(out / "report.md") as partial:
        partial.write_text(report, encoding="utf-8")
    log.info("%s\nSheet, map, assignments and centroids are in %s", report, out)


def _assigned(names: list[str], points: "np.ndarray", clusters: "Clusters") -> list[dict[str, Any]]:
    import numpy as np

    assignments = clusters.assignments
    distances = np.linalg.norm(points - clusters.centroids[assignments], axis=1)
    return [
        {"name": name, "cluster": int(number), "distance": f"{distance:.4f}"}
        for name, number, distance in sorted(zip(names, assignments, distances, strict=True))
    ]


def _save_clusters(
    path: Path, settings: "ClusterSettings", points: "Points", result: "Result", images_seen: int
) -> None:
    """``centroids`` (k, c) and all that turns an image into a point to compare with them."""
    import numpy as np

    from facegan.features.reading import statistics

    arrays: dict[str, Any] = {
        "centroids": result.clusters.centroids,
        "sizes": result.clusters.sizes,
        "images_seen": np.array(images_seen),  # of the network whose features these are
        "space": np.array(settings.space),
        "layers": np.array(settings.layers or [], np.int64),
        "typical": np.array(
            ["\n".join(result.typical(number)) for number in range(result.clusters.k)]
        ),
    }
    if points.reduction is not None:
        arrays |= {"mean": points.reduction.mean, "matrix": points.reduction.matrix}
    if points.network is not None:
        measured = statistics(points.network)
        arrays |= {f"batch_norm/{name}": value for name, value in measured.items()}
    with replacing(path) as partial, partial.open("wb") as file:
        np.savez(file, **arrays)


def _predict(cfg: DictConfig, gan: "GAN", out: Path) -> None:
    """Assign the pictures in the directory ``cfg.predict`` to the clusters saved in ``out``."""
    import numpy as np
    import torch

    from facegan.clusters import report as cluster_report
    from facegan.clusters.kmeans import Clusters
    from facegan.features.reading import reader, with_statistics
    from facegan.features.reduction import Reduction
    from facegan.features.stream import stream, with_progress
    from facegan.pictures.sheets import save_png

    saved = out / "centroids.npz"
    expect(
        saved.is_file(),
        f"There are no clusters in {out} to assign to: run the same command without predict= "
        "first, or set out= to where they are.",
    )
    pictures = Path(str(cfg.predict)).expanduser()
    expect(pictures.is_dir(), f"predict={cfg.predict} is not a directory.")
    with np.load(saved) as file:
        arrays = dict(file)
    expect(
        "matrix" in arrays,
        f"The clusters in {out} are of the attributes: pictures without labels cannot be assigned.",
    )
    prefix = "batch_norm/"
    measured = {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}
    data = pictures_in(pictures, cfg, gan.settings, "predicted")
    rows = np.arange(len(data.store))
    network = None
    if str(arrays["space"]) == "features":
        other = InputError(
            f"{saved} was made with another network than {cfg.ckpt} is now: cluster anew, without "
            "predict=."
        )
        if int(arrays["images_seen"]) != gan.images_seen:
            raise other
        try:
            network = with_statistics(gan.discriminator, measured)
        except (KeyError, RuntimeError) as error:
            raise other from error
    layers = arrays["layers"].tolist() or None
    read = reader(str(arrays["space"]), network, layers)
    reduction = Reduction(torch.from_numpy(arrays["mean"]), torch.from_numpy(arrays["matrix"]))
    vectors = stream(read, lambda part: data.images(part, gan.device), rows)
    chunks = with_progress(vectors, rows, "Assigning")
    points = torch.cat([reduction(chunk.cpu()) for chunk in chunks]).numpy()

    clusters = Clusters(arrays["centroids"], np.zeros(0, np.int64), 0.0)
    clusters = replace(clusters, assignments=clusters.assign(points))
    write_csv(
        out / "predictions.csv",
        ["name", "cluster", "distance"],
        _assigned(data.store.names, points, clusters),
    )
    captions = [
        "\n".join([f"{number}: {size:,} pictures", *str(typical).splitlines()])
        for number, (size, typical) in enumerate(
            zip(clusters.sizes, arrays["typical"], strict=True)
        )
    ]
    sheet = cluster_report.contact_sheet(points, clusters, captions, data.raw_images)
    save_png(sheet, out / "predictions.png")
    log.info("\n".join(caption.replace("\n", "; ", 1).replace("\n", ", ") for caption in captions))
    log.info("%s pictures assigned: %s", f"{len(rows):,}", out / "predictions.csv")


def main() -> None:
    run(cluster, "cluster", with_data_of_the_run)


if __name__ == "__main__":
    main()
