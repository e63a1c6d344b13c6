"""The same pictures and the same weights: does facegan.evaluate say what torch-fidelity says?

    python experiments/quality/against_torch_fidelity.py

Both read two directories of drawn faces with the Inception network of the FID, by their own command
lines. Its weights are random, so that no download is needed; --weights FILE takes others.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import torch

from facegan import media
from facegan.data.folder import Folder
from facegan.data.synthetic import Synthetic

THEIRS = {
    "fid": "frechet_inception_distance",
    "kid": "kernel_inception_distance_mean",
    "precision_inception": "precision",
    "recall_inception": "recall",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=2400, help="pictures, 9 of 10 of which are used")
    parser.add_argument("--weights", type=Path, help="of torch-fidelity's Inception")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        weights = options.weights or random_weights(root / "weights.pth")
        draw(root, "real", options.n, seed=0)
        real = Folder(
            name="real", root=str(root / "real"), data_dir=str(root / "data"), image_size=32
        ).store
        training = root / "training"
        training.mkdir()
        for row in real.rows("train"):
            (training / real.names[row]).symlink_to(root / "real" / real.names[row])
        count = len(real.rows("train"))  # facegan keeps a tenth for val and test
        draw(root, "generated", count, seed=1, contrast=0.7)
        ours = facegan(root, weights, count)
        theirs = torch_fidelity(root, training, weights, count)
    print(f"{count:,} generated against as many real images\n")
    print("| | facegan.evaluate | fidelity | relative difference |\n|---|---:|---:|---:|")
    for name, their_name in THEIRS.items():
        mine, other = ours[name]["value"], theirs[their_name]
        print(f"| {name} | {mine:.6g} | {other:.6g} | {abs(mine - other) / abs(other):.1e} |")


def random_weights(path: Path) -> Path:
    """Torch-fidelity's network before it has loaded any."""
    from unittest.mock import patch

    from torch_fidelity import feature_extractor_inceptionv3 as module

    torch.manual_seed(0)
    with (
        patch.object(module, "load_state_dict_from_url", lambda *a, **k: {}),
        patch.object(torch.nn.Module, "load_state_dict", lambda *a, **k: None),
    ):
        network = module.FeatureExtractorInceptionV3("inception-v3-compat", ["2048"])
    torch.save(network.state_dict(), path)
    return path


def draw(root: Path, name: str, n: int, seed: int, contrast: float = 1.0) -> None:
    """Drawn faces as PNG files."""
    data = Synthetic(n=n, image_size=32, draw_seed=seed, data_dir=str(root / "data"))
    (root / name).mkdir()
    for number, image in enumerate(torch.tensor(data.store.images)):
        shown = (image * contrast).to(torch.uint8)
        media.save_png(media.picture(shown), root / name / f"{number:06d}.png")


def facegan(root: Path, weights: Path, count: int) -> dict[str, dict[str, float]]:
    command = [sys.executable, "-m", "facegan.evaluate", f"samples={root}/generated"]
    command += ["dataset=folder", f"dataset.root={root}/real", f"data_dir={root}/data"]
    command += ["dataset.image_size=32", "dataset.channels=3", "metrics=[fid,kid,prdc]"]
    command += ["extractor.kind=inception", f"extractor.weights={weights}", f"out={root}/out"]
    command += [f"n={count}", "kid_subsets=1", f"kid_subset_size={count}"]
    subprocess.run(command, check=True)
    return json.loads((root / "out" / "evaluation.json").read_text())


def torch_fidelity(root: Path, training: Path, weights: Path, count: int) -> dict[str, float]:
    command = [str(Path(sys.executable).parent / "fidelity"), "--fid", "--kid", "--prc", "--json"]
    command += ["--input1", str(root / "generated"), "--input2", str(training), "--cpu"]
    command += ["--feature-extractor-weights-path", str(weights), "--no-cache"]
    command += ["--kid-subsets", "1", "--kid-subset-size", str(count)]
    said = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return json.loads(said[said.index("{") :])


if __name__ == "__main__":
    main()
