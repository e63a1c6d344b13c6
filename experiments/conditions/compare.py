"""Do conditions help? No condition, attributes, clusters and random labels, on equal images.

    python experiments/conditions/compare.py --root CELEBA --out OUT [--seeds 0 1] [--epochs 4]

Trains CelebA at 32 px four times per seed, and measures each generator with the label network of
these data, which is trained first where there is none. ``random`` is the control: labels that mean
nothing, in groups of the sizes that the clusters of ``clusters`` have.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

ATTRIBUTES = "[Male,Smiling,Eyeglasses,Young]"
VARIANTS = {
    "none": ["condition=none"],
    "attributes": ["condition=attributes", f"condition.names={ATTRIBUTES}"],
    "clusters": ["condition=clusters", "condition.k=50"],
    "random": ["condition=clusters", "condition.k=50", "condition.recluster=[]"],
}
METRICS = "[fd,prdc,prevalence]"
SHOWN = ("fd_cnn", "precision_cnn", "recall_cnn", "density_cnn", "coverage_cnn")
RARE = ("Eyeglasses", "Wearing_Hat", "Bald")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", required=True, help="directory of CelebA")
    parser.add_argument("--out", type=Path, required=True, help="directory of runs and packed data")
    parser.add_argument("--variants", nargs="+", default=list(VARIANTS), choices=VARIANTS)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1])
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--precision", default="bf16-mixed")
    parser.add_argument("--train-random", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.train_random:
        train_on_random_labels(options.train_random)
        return
    rows = []
    for seed in options.seeds:
        for variant in options.variants:
            run = options.out / f"{variant}_seed{seed}"
            train(run, variant, seed, options)
            rows.append((variant, seed, *scores(run, variant, options)))
    print_table(rows)


def train(run: Path, variant: str, seed: int, options: argparse.Namespace) -> None:
    """In a process of its own, unless the run is there."""
    if (run / "result.json").is_file():
        return
    overrides = [
        *("dataset=celeba", f"dataset.root={options.root}", "dataset.image_size=32"),
        *(f"data_dir={options.out}/data", f"seed={seed}", f"hydra.run.dir={run}"),
        *(f"trainer.max_epochs={options.epochs}", f"trainer.precision={options.precision}"),
        *("callbacks=[checkpoints,samples,progress]", "objective.metric=loss/g"),
        *VARIANTS[variant],
    ]
    if variant == "random":
        command = [__file__, "--root", "-", "--out", ".", "--train-random", *overrides]
    else:
        command = ["-m", "facegan.train", *overrides]
    subprocess.run([sys.executable, *command], check=True)


def train_on_random_labels(overrides: list[str]) -> None:
    """facegan.train with ``condition=clusters``, whose images change their numbers at random."""
    from facegan import train
    from facegan.clusters import kmeans
    from facegan.training.callbacks import self_condition

    def shuffled(points: np.ndarray, k: int, **more: Any) -> kmeans.Clustering:
        found = kmeans.k_means(points, k, **more)
        numbers = np.random.default_rng(0).permutation(found.assignments)
        return kmeans.Clustering(found.centroids, numbers, found.inertia)

    arguments = patch.object(sys, "argv", ["facegan.train", *overrides])
    with arguments, patch.object(self_condition, "k_means", shuffled):
        train.main()


def scores(run: Path, variant: str, options: argparse.Namespace) -> tuple[dict, dict, dict]:
    """Scores, shares of labels, and adherence."""
    common = [f"ckpt={run}", f"data_dir={options.out}/data"]
    networks = options.out.glob("data/*/networks/*.ckpt")
    if not any(networks):
        probe = ["classify.probe=cnn", f"out={options.out}/labels"]
        subprocess.run([sys.executable, "-m", "facegan.classify", *common, *probe], check=True)
    metrics = METRICS.replace("]", ",adherence]") if variant == "attributes" else METRICS
    out = run / "evaluation" / "last"
    if not (out / "evaluation.json").is_file():
        measured = [f"metrics={metrics}", "n=5000"]
        subprocess.run([sys.executable, "-m", "facegan.evaluate", *common, *measured], check=True)
    found = json.loads((out / "evaluation.json").read_text())
    adherence = found.get("adherence_cnn", {})
    return found, found["prevalence_cnn"]["labels"], adherence


def print_table(rows: list[tuple[str, int, dict, dict, dict]]) -> None:
    header = ["condition", "seed", *(name.removesuffix("_cnn") for name in SHOWN), *RARE]
    print(f"| {' | '.join(header)} |\n|---|---:{'|---:' * (len(header) - 2)}|")
    for variant, seed, found, shares, _ in rows:
        values = [f"{found[name]['value']:.3f}" for name in SHOWN]
        rare = [f"{shares[name]['generated']:.1%} ({shares[name]['real']:.1%})" for name in RARE]
        print(f"| {' | '.join([variant, str(seed), *values, *rare])} |")
    print("\n| asked for | seed | found where asked | where not | AP | AP of real images |")
    print("|---|---:|---:|---:|---:|---:|")
    for _, seed, _, _, adherence in rows:
        for name, of in adherence.get("generated", {}).items():
            real = adherence["real"][name]["average_precision"]
            present, absent = of["present"], 1 - of["absent"]
            precision = of["average_precision"]
            print(
                f"| {name} | {seed} | {present:.1%} | {absent:.1%} | {precision:.3f} | {real:.3f} |"
            )


if __name__ == "__main__":
    main()
