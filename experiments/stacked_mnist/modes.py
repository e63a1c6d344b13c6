"""Do D's own clusters as conditions help a generator to draw all 1,000 modes of Stacked MNIST?

    python experiments/stacked_mnist/modes.py --root DIR [--seeds 0 1] [--epochs 100]

Trains `condition=none` and `condition=clusters` on equally many images, with each seed, and prints
modes covered by 25,600 images and reverse KL (in nats), which the label network of single digits
counts; it is trained first where there is none. Runs that are finished are not repeated;
KEY=VALUE behind these are for `facegan.train`.
"""

import argparse
import json
import subprocess
import sys
from functools import partial
from pathlib import Path

from facegan.data.sources.mnist import MNIST
from facegan.devices import usable_device
from facegan.features.extractors import NETWORKS
from facegan.quality.reference import ReferenceSet
from facegan.quality.settings import EvaluationSettings

COUNT = 25_600  # generated images, as in the papers
CONDITIONS = ("none", "clusters")


def facegan(command: str, *arguments: object) -> None:
    subprocess.run([sys.executable, "-m", f"facegan.{command}", *map(str, arguments)], check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", required=True, type=Path, help="directory with MNIST's idx files")
    parser.add_argument("--data-dir", default=Path("data"), type=Path)
    parser.add_argument("--out", default=Path("runs/stacked_mnist"), type=Path)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1])
    parser.add_argument("--epochs", type=int, default=100, help="of 55,000 images")
    options, more = parser.parse_known_args()

    where = [f"dataset.root={options.root.resolve()}", f"data_dir={options.data_dir.resolve()}"]
    stacks = MNIST(root=str(options.root), data_dir=str(options.data_dir), stacked=True)
    digits = MNIST(root=str(options.root), data_dir=str(options.data_dir))
    if not any((digits.store.path / NETWORKS).glob("*.ckpt")):
        shape = ["dataset=mnist", "dataset.image_size=32", "dataset.channels=1"]
        facegan("classify", "classify.probe=cnn", f"out={options.out / 'digits'}", *shape, *where)

    table = [
        ["", "seed", "images seen", "modes of 1,000", "reverse KL (nats)"],
        ["---", "---:", "---:", "---:", "---:"],
        ["real images", "", "", *on_real_images(stacks)],
    ]
    for seed in options.seeds:
        for condition in CONDITIONS:
            run = options.out / f"{condition}_seed{seed}"
            if not (run / "result.json").is_file():
                facegan(
                    "train",
                    *("dataset=mnist", "dataset.stacked=true", *where),
                    *(f"condition={condition}", f"seed={seed}"),
                    *(f"trainer.max_epochs={options.epochs}", "trainer.precision=bf16-mixed"),
                    *("callbacks=[checkpoints,samples,progress]", f"hydra.run.dir={run}", *more),
                )
            facegan("evaluate", f"ckpt={run}", "metrics=[modes]", f"n={COUNT}", where[1])
            found = json.loads((run / "evaluation" / "last" / "evaluation.json").read_text())
            scores = [found[name] for name in ("modes_cnn", "reverse_kl_cnn")]
            values = [in_words(score["value"], score["error"]) for score in scores]
            table.append([condition, str(seed), f"{found['images_seen']:,}", *values])
    print(*(f"| {' | '.join(row)} |" for row in table), sep="\n")


def on_real_images(data: MNIST) -> list[str]:
    """Scores of training images, by the network that counts: as good as it gets."""
    device = usable_device("auto")
    settings = EvaluationSettings(n=COUNT, metrics=["modes"])
    reference, rows = ReferenceSet(settings, data, device), data.subset("train", COUNT)
    images_of = partial(data.images, device=device)
    scores = reference.scores(reference.vectors(images_of, rows), images_of, rows).scores
    return [in_words(score.value, score.error) for score in scores.values()]


def in_words(value: float, error: float | None) -> str:
    return f"{value:.4g} ± {error or 0:.2g}"


if __name__ == "__main__":
    main()
