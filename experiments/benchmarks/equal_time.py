"""How good are the faces after equally many minutes? facegan's default against the textbook step.

    python experiments/benchmarks/equal_time.py --root DIR --runs runs/equal_time --minutes 15

One after the other on CelebA, both fed from the packed store, which is made before; then 10,000
images of each are scored by the network that tells the attributes, which has to be there (see
experiments/quality). The textbook's are drawn as it usually does: from the weights as they are
after the last step, BatchNorm in training mode.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

import torch
from step import textbook_networks, textbook_step
from tqdm import trange

from facegan.data.sources.celeba import CelebA
from facegan.pictures.scaling import to_uint8
from facegan.pictures.sheets import picture, save_png

BATCH, IMAGES = 64, 10_000
METRICS = ("fd_cnn", "kd_cnn", "precision_cnn", "recall_cnn", "density_cnn", "coverage_cnn")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", required=True, help="where CelebA lies")
    parser.add_argument("--data-dir", default="data")
    parser.add_argument("--runs", type=Path, default=Path("runs/equal_time"))
    parser.add_argument("--minutes", type=float, default=15)
    parser.add_argument("--image-size", type=int, default=64)
    parser.add_argument("overrides", nargs="*", help="of facegan.train, like model=hinge_sn")
    options = parser.parse_args()
    data = [
        "dataset=celeba",
        f"dataset.root={options.root}",
        f"dataset.image_size={options.image_size}",
        f"data_dir={options.data_dir}",
    ]
    seen = {"textbook": textbook(options), "facegan.train": facegan(options, data)}
    scores = {
        "textbook": score(
            f"samples={options.runs / 'textbook'}",
            "dataset.channels=3",
            *data,
            f"out={options.runs / 'textbook_scores'}",
        ),
        "facegan.train": score(
            f"ckpt={options.runs / 'facegan'}", *data, f"out={options.runs / 'facegan_scores'}"
        ),
    }
    threads = torch.get_num_threads()
    print(f"{options.minutes:g} minutes each, {options.image_size} px, {threads} threads\n")
    print(f"| | images seen | {' | '.join(METRICS)} |\n|---|---:|{'---:|' * len(METRICS)}")
    for name, found in scores.items():
        values = " | ".join(f"{found[metric]['value']:.4f}" for metric in METRICS)
        print(f"| {name} | {seen[name]:,} | {values} |")


def textbook(options: argparse.Namespace) -> int:
    """Train it, and write its pictures; returns images seen."""
    torch.manual_seed(0)
    data = CelebA(
        root=options.root,
        data_dir=options.data_dir,
        image_size=options.image_size,
        batch_size=BATCH,
    )
    data.prepare_data()
    data.setup("fit")
    G, D = textbook_networks(options.image_size, 64)
    step = textbook_step(G, D, torch.device("cpu"))
    seen, until = 0, time.monotonic() + 60 * options.minutes
    while time.monotonic() < until:
        for images, _ in data.train_dataloader():
            step(images)
            seen += len(images)
            if time.monotonic() > until:
                break
    directory = options.runs / "textbook"
    directory.mkdir(parents=True)
    with torch.no_grad():
        for start in trange(0, IMAGES, BATCH, unit_scale=BATCH, unit="face", disable=None):
            for number, image in enumerate(to_uint8(G(torch.randn(BATCH, 100))), start):
                if number < IMAGES:
                    save_png(picture(image), directory / f"{number:06d}.png")
    return seen


def facegan(options: argparse.Namespace, data: list[str]) -> int:
    """Train it by the command that users give; returns images seen."""
    run_dir = options.runs / "facegan"
    seconds = round(60 * options.minutes)
    command = [
        *(sys.executable, "-m", "facegan.train", "experiment=celeba64", *data),
        f"hydra.run.dir={run_dir}",
        "trainer.max_epochs=-1",
        f"trainer.max_time=00:{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}",
        "trainer.enable_progress_bar=false",
        "callbacks=[checkpoints,samples,progress]",
        *options.overrides,
    ]
    subprocess.run(command, check=True)
    return json.loads((run_dir / "result.json").read_text())["images"]


def score(*arguments: str) -> dict[str, dict[str, float]]:
    out = next(a.partition("=")[2] for a in arguments if a.startswith("out="))
    command = [sys.executable, "-m", "facegan.evaluate", "metrics=[fd,kd,prdc]", *arguments]
    subprocess.run(command, check=True)
    return json.loads((Path(out) / "evaluation.json").read_text())


if __name__ == "__main__":
    main()
