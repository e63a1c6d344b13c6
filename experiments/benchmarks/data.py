"""Preparing and loading CelebA at 64 px, against torchvision reading the same JPEGs.

    python experiments/benchmarks/data.py --root DIR     # DIR as dataset.root
    python experiments/benchmarks/data.py --root DIR --memory --pictures 202599

Every figure is the median of ROUNDS rounds in which all contestants take turns, and every ratio
the median of the ratios within a round: other work on the machine then slows both sides.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import joblib
import numpy as np
import torch
from torch.utils.data import DataLoader
from torchvision import datasets, transforms
from tqdm import trange

from facegan.data.packing.readers import FolderFiles, PictureReader
from facegan.data.packing.source import Source
from facegan.data.packing.store import prepare
from facegan.data.sources.celeba import CelebA

ROUNDS, PICTURES, SIZE, CROP, BATCH = 5, 4_000, 64, 178, 64


def unpack(source: Source, folder: Path) -> Source:
    """The first PICTURES as files in ``folder/faces``, and a source of just these."""
    (folder / "faces").mkdir()
    names = list(source.names[:PICTURES])
    for i, name in enumerate(names):
        with source.reader.files.open(i) as file:  # type: ignore[attr-defined]
            (folder / "faces" / name).write_bytes(file.read())
    return replace(
        source,
        names=names,
        reader=PictureReader(FolderFiles(folder / "faces", names), SIZE, 3, CROP),
        labels=source.labels[:PICTURES],
        splits=source.splits[:PICTURES],
        identities=None,
    )


def rate(work: Callable[[], int]) -> float:
    start = time.perf_counter()
    return work() / (time.perf_counter() - start)


def prepared(source: Source, processes: int) -> int:
    with tempfile.TemporaryDirectory() as data_dir:
        return len(prepare(source, data_dir, processes=processes))


def image_folder(folder: Path, workers: int) -> int:
    transform = transforms.Compose(
        [transforms.CenterCrop(CROP), transforms.Resize(SIZE), transforms.ToTensor()]
    )
    dataset = datasets.ImageFolder(str(folder), transform)
    return sum(len(images) for images, _ in DataLoader(dataset, BATCH, num_workers=workers))


def epoch(data: CelebA) -> int:
    return sum(len(images) for images, _ in data.train_dataloader())


def gathered(data: CelebA, convert: bool) -> int:
    rows = data.train_dataloader().dataset
    order = torch.randperm(len(rows)).split(BATCH)
    for indices in order:
        batch = rows.__getitems__(indices.tolist())
        if convert:
            data.on_after_batch_transfer(batch, 0)
    return len(rows)


def report(title: str, contestants: dict[str, Callable[[], int]], against: str) -> None:
    rounds: dict[str, list[float]] = {name: [] for name in contestants}
    for number in range(ROUNDS + 1):
        for name, work in contestants.items():
            measured = rate(work)
            if number:  # the first round warms the page cache
                rounds[name].append(measured)
    print(f"\n| {title} | images/s | x {against} |\n|---|---:|---:|")
    for name, rates in rounds.items():
        ratio = statistics.median(a / b for a, b in zip(rates, rounds[against], strict=True))
        print(f"| {name} | {statistics.median(rates):,.0f} | {ratio:.2f} |", flush=True)


def memory_of(pid: str) -> float:
    """Peak resident memory in MiB, with the pages of libraries (Linux only)."""
    try:
        status = Path("/proc", pid, "status").read_text(encoding="utf-8")
    except OSError:  # it has just ended
        return 0
    return sum(int(line.split()[1]) for line in status.splitlines() if "VmHWM" in line) / 1024


def children() -> list[str]:
    return [pid for path in Path("/proc/self/task").glob("*/children")
            for pid in path.read_text().split()]  # fmt: skip


def repeat(root: str, n: int, folder: Path) -> None:
    """A CelebA of ``n`` pictures: those in ``root`` again and again, in one zip in ``folder``."""
    source = CelebA(root=root, image_size=SIZE, crop=CROP).source()
    labels = [" ".join(row) for row in np.where(source.labels, "1", "-1")]
    table = [str(n), " ".join(source.label_names)]
    with zipfile.ZipFile(folder / "img_align_celeba.zip", "w") as archive:
        for i in trange(n, desc="Repeating pictures", disable=None):
            name, row = f"{i + 1:06d}.jpg", i % len(source.names)
            with source.reader.files.open(row) as file:  # type: ignore[attr-defined]
                archive.writestr(name, file.read())
            table.append(f"{name} {labels[row]}")
    (folder / "list_attr_celeba.txt").write_text("\n".join(table) + "\n")


def peak_memory(root: str) -> None:
    """In a fresh process: what preparing all of it adds to what importing torch takes."""
    before, samples = memory_of("self"), [0.0]
    source = CelebA(root=root, image_size=SIZE, crop=CROP).source()
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.1):
            samples.append(sum(memory_of(child) for child in children()))

    watching = threading.Thread(target=watch)
    watching.start()
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as data_dir:
        n = len(prepare(source, data_dir))
    seconds = time.perf_counter() - start
    done.set()
    watching.join()
    after = memory_of("self")
    print("\n| preparing all | |\n|---|---:|")
    print(f"| pictures | {n:,} |\n| seconds | {seconds:.1f} |")
    print(f"| processes | {joblib.cpu_count()} |\n| images/s | {n / seconds:,.0f} |")
    print(f"| peak memory, main process | {after:.0f} MiB ({before:.0f} MiB before) |")
    print(f"| peak memory, all workers | {max(samples):.0f} MiB |")


def of_its_own(root: str) -> None:
    """Peak memory in another process: what this one has had at most is past."""
    subprocess.run([sys.executable, __file__, "--root", root, "--memory"], check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--root", required=True, help="a directory with CelebA in any layout")
    parser.add_argument("--memory", action="store_true", help="only what preparing all takes")
    parser.add_argument(
        "--pictures", type=int, help="with --memory: as many, repeated, in a zip of 7 kB each"
    )
    arguments = parser.parse_args()
    if arguments.memory and arguments.pictures is None:
        peak_memory(arguments.root)
        return
    if arguments.memory:
        with tempfile.TemporaryDirectory() as folder:
            repeat(arguments.root, arguments.pictures, Path(folder))
            of_its_own(folder)
        return

    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch, "pictures")
        folder.mkdir()
        celeba = CelebA(root=arguments.root, data_dir=scratch, image_size=SIZE, crop=CROP)
        source = unpack(celeba.source(), folder)
        report(
            f"{PICTURES:,} JPEGs to {SIZE} px",
            {
                "ImageFolder, 0 workers": lambda: image_folder(folder, 0),
                "ImageFolder, 2 workers": lambda: image_folder(folder, 2),
                "prepare, 1 process": lambda: prepared(source, 1),
                "prepare, 2 processes": lambda: prepared(source, 2),
            },
            against="ImageFolder, 0 workers",
        )
        celeba.prepare_data()
        assert np.shape(celeba.store.images)[1:] == (3, SIZE, SIZE)
        report(
            f"loading at {SIZE} px, batch {BATCH}",
            {
                "ImageFolder, 0 workers": lambda: image_folder(folder, 0),
                "ImageFolder, 2 workers": lambda: image_folder(folder, 2),
                "store, gather of uint8": lambda: gathered(celeba, convert=False),
                "store, train_dataloader": lambda: epoch(celeba),
                "store, gather, float in [-1, 1]": lambda: gathered(celeba, convert=True),
            },
            against="ImageFolder, 2 workers",
        )
    of_its_own(arguments.root)


if __name__ == "__main__":
    main()
