"""Small data in the layouts that people have."""

import csv
import io
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

ATTRIBUTES = ["Bald", "Eyeglasses", "Male", "Smiling", "Young"]


def smooth_picture(seed: int, size: tuple[int, int] = (178, 218)) -> Image.Image:
    """A photo-like RGB picture: random colours, smoothly interpolated."""
    colours = np.random.default_rng(seed).integers(0, 256, (9, 8, 3), dtype=np.uint8)
    return Image.fromarray(colours).resize(size, Image.Resampling.BICUBIC)


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    """The bytes of ``image`` as a file of ``kind``."""
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def jpeg(seed: int, size: tuple[int, int] = (178, 218)) -> bytes:
    return encoded(smooth_picture(seed, size), "JPEG", quality=90)


class FakeCelebA:
    """CelebA's files for pictures of the given numbers; change its attributes, then ``write``."""

    def __init__(self, numbers: list[int]) -> None:
        self.pictures = {f"{number:06d}.jpg": jpeg(number) for number in numbers}
        rng = np.random.default_rng(0)
        self.labels = {name: rng.integers(0, 2, len(ATTRIBUTES)).tolist() for name in self.pictures}
        self.splits = {name: i % 3 for i, name in enumerate(self.pictures)}
        self.people = {name: 100 + i // 2 for i, name in enumerate(self.pictures)}

    def write(self, root: Path, layout: str = "zip") -> Path:
        root.mkdir(parents=True, exist_ok=True)
        if layout == "zip":
            with zipfile.ZipFile(root / "img_align_celeba.zip", "w") as archive:
                archive.writestr("img_align_celeba/", "")
                for i, (name, data) in enumerate(self.pictures.items()):
                    packed = zipfile.ZIP_DEFLATED if i % 2 else zipfile.ZIP_STORED
                    archive.writestr(f"img_align_celeba/{name}", data, compress_type=packed)
                archive.writestr("__MACOSX/img_align_celeba/._000001.jpg", "not a picture")
        else:
            folder = root / "img_align_celeba"
            if layout.startswith("kaggle"):
                folder = folder / "img_align_celeba"
            folder.mkdir(parents=True)
            for name, data in self.pictures.items():
                (folder / name).write_bytes(data)
        low = 0 if layout == "kaggle01" else -1
        rows = {name: [v or low for v in values] for name, values in self.labels.items()}
        if layout.startswith("kaggle"):
            self._csv(root / "list_attr_celeba.csv", ATTRIBUTES, rows)
            splits = {name: [split] for name, split in self.splits.items()}
            self._csv(root / "list_eval_partition.csv", ["partition"], splits)
        else:
            lines = [f"{name} {' '.join(f'{v:2d}' for v in row)}" for name, row in rows.items()]
            text = "\n".join([str(len(lines)), " ".join(ATTRIBUTES) + " ", *lines]) + "\n"
            (root / "list_attr_celeba.txt").write_text(text)
            text = "".join(f"{name} {split}\n" for name, split in self.splits.items())
            (root / "list_eval_partition.txt").write_text(text)
        if layout != "kaggle01":  # Kaggle's has none
            text = "".join(f"{name} {person}\n" for name, person in self.people.items())
            (root / "identity_CelebA.txt").write_text(text)
        return root

    @staticmethod
    def _csv(path: Path, columns: list[str], rows: dict[str, list[int]]) -> None:
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["image_id", *columns])
            writer.writerows([name, *row] for name, row in rows.items())


def write_mnist(root: Path, train: int = 5_200, test: int = 100) -> Path:
    """MNIST's four idx files with random digits; the last 5,000 of train become val."""
    root.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    for part, count in (("train", train), ("t10k", test)):
        images = rng.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        header = np.array([0x803, count, 28, 28], ">i4").tobytes()
        (root / f"{part}-images-idx3-ubyte").write_bytes(header + images.tobytes())
        labels = (np.arange(count) % 10).astype(np.uint8)
        header = np.array([0x801, count], ">i4").tobytes()
        (root / f"{part}-labels-idx1-ubyte").write_bytes(header + labels.tobytes())
    return root
