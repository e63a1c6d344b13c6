"""What several processes cost and bring: two with one thread each against one with two threads.

    python experiments/devices/cost.py --rounds 3

Each of the settings trains on drawn faces in turn, ``--rounds`` times; printed are the medians of
the images per second that ``facegan.train`` logs, and their ratios.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

from tqdm import tqdm

from facegan.files import read_csv

DDP = "trainer.strategy=ddp_find_unused_parameters_true"
SETTINGS = {  # threads of each process, overrides
    "1 process, 2 threads": ("2", []),
    "2 processes, 1 thread each": ("1", ["trainer.devices=2"]),
    "1 process, 1 thread": ("1", ["dataset.batch_size=32"]),
    "1 process, 1 thread, DDP": ("1", ["dataset.batch_size=32", DDP]),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=8, help="of each of three epochs")
    parser.add_argument("--image-size", type=int, default=64)
    options = parser.parse_args()
    speeds: dict[str, list[float]] = {name: [] for name in SETTINGS}
    with tempfile.TemporaryDirectory() as directory:
        for number in tqdm(range(options.rounds), unit="round"):
            for name, (threads, overrides) in SETTINGS.items():
                run_dir = Path(directory, f"{number} {name}".replace(",", "").replace(" ", "_"))
                speeds[name].append(speed(options, run_dir, threads, overrides))
    for name, found in speeds.items():
        print(f"{name:<28}{median(found):8.1f} images/s  ({', '.join(f'{s:.1f}' for s in found)})")
    one, two, alone, wrapped = (median(found) for found in speeds.values())
    print(f"two processes against two threads: {two / one:.2f}")
    print(f"DDP adds {1000 * 32 * (1 / wrapped - 1 / alone):.0f} ms to a step of 32 images", end="")
    print(f" of {1000 * 32 / alone:.0f} ms")


def speed(options: argparse.Namespace, run_dir: Path, threads: str, overrides: list[str]) -> float:
    command = [
        *(sys.executable, "-m", "facegan.train"),
        f"data_dir={run_dir.parent}/data",
        f"hydra.run.dir={run_dir}",
        f"dataset.image_size={options.image_size}",
        "dataset.n=5000",
        "dataset.global_batch_size=64",
        f"trainer.limit_train_batches={options.steps}",
        *("trainer.max_epochs=3", "trainer.accelerator=cpu"),
        *("trainer.enable_progress_bar=false", "callbacks=progress"),
        *overrides,
    ]
    if "dataset.batch_size=32" in overrides:
        command.append("dataset.global_batch_size=null")
    environment = os.environ | {"OMP_NUM_THREADS": threads}
    subprocess.run(command, check=True, env=environment, capture_output=True)
    rows = read_csv(run_dir / "metrics.csv")
    return median([float(s) for row in rows if (s := row.get("speed/images_per_second"))][1:])


if __name__ == "__main__":
    main()
