"""Kill a training at random moments, again and again, and see whether it always goes on.

    python experiments/survival/kills.py --kills 20
    python experiments/survival/kills.py --kills 20 --signals KILL HUP USR2

Every time the run is resumed with nothing cleaned up by hand. At the end it has to equal, bit for
bit, a run that was never killed: networks, optimizers, and every row of metrics.csv.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from tqdm import tqdm

from facegan.files import read_csv
from facegan.gan.checkpoint import read_checkpoint

# Epochs of a quarter of a second, so that much of the time checkpoints are being written.
OPTIONS = [
    "dataset.n=300",
    "dataset.image_size=16",
    "dataset.batch_size=16",
    "model.width_g=32",
    "model.width_d=32",
    "trainer.accelerator=cpu",
    "trainer.enable_progress_bar=false",
    "trainer.log_every_n_steps=1",
    "callbacks=[checkpoints,quality]",
    "quality.n=50",
]
LAST = Path("checkpoints", "last.ckpt")
DONE = (0, 2)  # exit statuses of a run that had its last epoch now, and of one that had it before


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--epochs", type=int, default=80)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--signals", nargs="+", default=["KILL"], help="in turn, each twice")
    options = parser.parse_args()
    rng = random.Random(options.seed)
    signals = [getattr(signal, f"SIG{name}") for name in options.signals]
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        epochs = f"trainer.max_epochs={options.epochs}"
        data = f"data_dir={root}/data"
        start = time.monotonic()
        whole = run(*OPTIONS, data, epochs, f"hydra.run.dir={root}/whole")
        while whole.poll() is None and not (root / "whole" / "metrics.csv").is_file():
            time.sleep(0.05)
        loading = time.monotonic() - start
        whole.wait()
        killed = writing = 0
        with tqdm(total=options.kills, unit="kill") as bar:
            while killed < options.kills:
                run_dir = root / "killed"
                there = (run_dir / LAST).is_file()
                process = (
                    run(f"resume={run_dir}", epochs)
                    if there
                    else run(*OPTIONS, data, epochs, f"hydra.run.dir={run_dir}")
                )
                # From importing to some epochs on; each second one while a checkpoint is written.
                wait(process, loading * rng.uniform(0.5, 1.5) + rng.uniform(0, 3))
                if killed % 2:
                    writing += caught_writing(process, run_dir)
                if process.poll() is not None:
                    if process.returncode in DONE:
                        break  # before all kills were
                    sys.exit(f"It did not go on after {killed} kills: {process.communicate()[1]}")
                process.send_signal(signals[killed // 2 % len(signals)])
                process.wait()
                killed += 1
                bar.update()
        if (root / "killed" / LAST).is_file():
            last = run(f"resume={root}/killed", epochs)
            _, said = last.communicate()
            if last.returncode not in DONE:
                sys.exit(f"It did not go on after {killed} kills: {said}")
        if set(signals) == {signal.SIGKILL}:
            compare(root / "whole", root / "killed")
        else:  # saved within an epoch, the rest of which draws other latents
            print("Not compared with a whole run: a signal saves within an epoch.")
        print(
            f"{killed} kills, {writing} of them while a checkpoint was being written: all survived"
        )


def caught_writing(process: subprocess.Popen, run_dir: Path) -> bool:
    """Wait for the moment when a checkpoint is half-written."""
    until = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < until:
        if any(run_dir.glob("checkpoints/*.partial")):
            return True
    return False


def wait(process: subprocess.Popen, seconds: float) -> None:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return


def run(*overrides: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "facegan.train", *overrides],
        env=os.environ | {"OMP_NUM_THREADS": "1"},  # more would wait for each other
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def compare(whole: Path, killed: Path) -> None:
    one, two = (read_checkpoint(directory) for directory in (whole, killed))
    for name, values in one["state_dict"].items():
        if not torch.equal(values, two["state_dict"][name]):
            sys.exit(f"{name} differs")
    for mine, theirs in zip(one["optimizer_states"], two["optimizer_states"], strict=True):
        for key, state in mine["state"].items():
            if not all(torch.equal(state[k], theirs["state"][key][k]) for k in state):
                sys.exit("the optimizers differ")
    for name in ("metrics.csv", "quality/metrics.csv"):
        rows = [
            [
                {k: v for k, v in row.items() if k not in ("speed/images_per_second", "seconds")}
                for row in read_csv(directory / name)
            ]
            for directory in (whole, killed)
        ]
        rows = [[row for row in part if any(row[k] for k in row if k != "step")] for part in rows]
        if rows[0] != rows[1]:
            sys.exit(f"{name} differs")
    print("The killed run equals the whole one: networks, optimizers, every row of both tables.")


if __name__ == "__main__":
    main()
