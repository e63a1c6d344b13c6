"""Predict labels from what a discriminator has learned: ``python -m facegan.classify ckpt=...``.

Linear probes on its frozen features, fitted on train, regularised on val and scored on test, beside
references: the most frequent value, the same probe on pixels and on an untrained discriminator, and
a network of the same size trained end to end.
"""

from functools import partial
from pathlib import Path
from typing import Any

from facegan.cli.conf import plain
from facegan.cli.inputs import build_data, image_shape, load_gan, out_dir, pictures_in
from facegan.cli.run import run
from facegan.cli.run_data import with_data_of_the_run
from facegan.cli.settings import CommandSettings
from facegan.errors import InputError
from facegan.probes.settings import LabellingSettings, NetworkSettings, ProbeSettings
from facegan.run_dir import last_checkpoint, run_dir_of


def classify(cfg: Any) -> None:
    """Probe, label pictures or train a label network, and write the results to ``cfg.out``."""
    content = plain(cfg)
    command = CommandSettings.pick(content)
    settings = ProbeSettings.read(content["classify"])
    network = NetworkSettings.read(content["cnn"])
    labelled = LabellingSettings.pick(content)
    if command.ckpt is None and (settings.probe != "cnn" or labelled.label is not None):
        raise InputError("Say whose features to use: ckpt=FILE or ckpt=RUN_DIR.")
    source = None if labelled.label is None else Path(labelled.label).expanduser()
    if source is not None and not source.exists():
        raise InputError(f"There is nothing at label={source}.")
    from facegan.clusters.agreement import nmi  # here: --help needs no torch
    from facegan.probes import curve, labelling, study

    if command.ckpt is None:
        out = None if command.out is None else out_dir(cfg, Path(command.out))
        data = build_data(cfg, image_shape(cfg, "classify.probe=cnn and no checkpoint"))
        study.probe_network(data, settings, out, network, command.device)
        return
    gan, path = load_gan(cfg, cfg.ckpt)
    name = path.stem if settings.probe == "logistic" else f"{path.stem}_{settings.probe}"
    out = out_dir(cfg, run_dir_of(path) / "classify" / name)
    if source is not None:
        data = build_data(cfg, gan.settings) if network.ckpt is None else None
        classifier = labelling.find_network(network.ckpt, data, settings.attributes, gan.device)
        if source.is_file() or last_checkpoint(source).is_file():
            generator, _ = load_gan(cfg, source)
            labelling.label_generated(classifier, generator, labelled.n, settings.seed, out)
        else:
            pictures = pictures_in(source, cfg, classifier.settings, "labelled")
            labelling.label_pictures(classifier, pictures, out)
        return
    data = build_data(cfg, gan.settings)
    if settings.curve:
        agreement = partial(nmi, seed=settings.seed)
        curve.probe_checkpoints(gan, path.parent.glob("*.ckpt"), data, settings, out, agreement)
    elif settings.probe == "cnn":
        study.probe_network(data, settings, out, network, gan.device, path)
    else:
        study.probe(gan, data, settings, out, network, path)


def main() -> None:
    run(classify, "classify", with_data_of_the_run)


if __name__ == "__main__":
    main()
