"""Train every variant for equally many images, score it, and keep a table of the results.

    python experiments/quality/study.py --root DIR --runs runs/quality bce lsgan hinge --seeds 0 1

What is there already is not done again, so that a study can be stopped and gone on with. The
network that all of them are compared by has to be made before, once for the data: see README.md.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

from facegan.files import append_csv, read_csv

SPECTRAL = ["model.norm_d=none", "model.spectral_norm=true"]
VARIANTS = {
    "bce": [],  # the paper's: what all others differ from
    "lsgan": ["model=lsgan"],
    "hinge": ["model.loss=hinge"],
    "wgan_gp": ["model=wgan_gp"],
    "rpgan": ["model=rpgan"],
    "bce_sn": SPECTRAL,
    "hinge_sn": ["model=hinge_sn"],
    "lsgan_sn": ["model.loss=lsgan", *SPECTRAL],
    "no_ema": ["model.ema_half_life=0"],
    "lr_d_half": ["model.lr_d=1e-4"],
    "lr_g_half": ["model.lr_g=1e-4"],
    "lr_double": ["model.lr_d=4e-4", "model.lr_g=4e-4"],
    "translation": ["model.augment=[translation]"],
    "color_translation": ["model.augment=[color,translation]"],
    "hinge_sn_lr_d_double": ["model=hinge_sn", "model.lr_d=4e-4"],
    "hinge_sn_translation": ["model=hinge_sn", "model.augment=[translation]"],
}
COLUMNS = ("fd_cnn", "kd_cnn", "precision_cnn", "recall_cnn", "density_cnn", "coverage_cnn")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("variants", nargs="*", help=f"of {', '.join(VARIANTS)}; without any: all")
    parser.add_argument("--root", required=True, help="where CelebA lies")
    parser.add_argument("--runs", type=Path, default=Path("runs/quality"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--image-size", type=int, default=32)
    parser.add_argument("--epochs", type=int, default=4)
    options = parser.parse_args()
    unknown = set(options.variants) - set(VARIANTS)
    if unknown:
        parser.error(f"there is no variant {', '.join(unknown)}: choose from {', '.join(VARIANTS)}")
    table = options.runs / "results.csv"
    options.runs.mkdir(parents=True, exist_ok=True)
    for seed in options.seeds:
        for variant in options.variants or VARIANTS:
            name = f"{variant}-{seed}"
            if any(row["run"] == name for row in read_csv(table)):
                continue
            seconds = train(options, name, [*VARIANTS[variant], f"seed={seed}"])
            scores = score(options, name)
            row = {"run": name, "variant": variant, "seed": seed, "train_seconds": round(seconds)}
            append_csv(table, row | {key: scores[key]["value"] for key in COLUMNS})
            print(f"{name:<26} fd_cnn {scores['fd_cnn']['value']:.3f}", flush=True)


def train(options: argparse.Namespace, name: str, overrides: list[str]) -> float:
    """Seconds of the whole command; 0 if the run was there."""
    run_dir = options.runs / name
    if (run_dir / "checkpoints" / "last.ckpt").is_file():
        return 0.0
    began = time.monotonic()
    facegan(
        "train",
        "dataset=celeba",
        f"dataset.root={options.root}",
        f"dataset.image_size={options.image_size}",
        f"trainer.max_epochs={options.epochs}",
        "trainer.enable_progress_bar=false",
        "callbacks=[checkpoints,samples,progress]",  # nothing else is to take its time
        f"hydra.run.dir={run_dir}",
        *overrides,
    )
    return time.monotonic() - began


def score(options: argparse.Namespace, name: str) -> dict[str, dict[str, float]]:
    facegan("evaluate", f"ckpt={options.runs / name}", "metrics=[fd,kd,prdc]")
    return json.loads((options.runs / name / "evaluation" / "last" / "evaluation.json").read_text())


def facegan(command: str, *arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", f"facegan.{command}", *arguments], capture_output=True, text=True
    )
    if done.returncode:
        sys.exit(f"facegan.{command} {' '.join(arguments)} failed:\n{done.stderr}")


if __name__ == "__main__":
    main()
