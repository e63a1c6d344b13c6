"""The same pictures and the same weights: does facegan.evaluate say what torch-fidelity says?

    python experiments/quality/against_torch_fidelity.py --layer 64 --n 200    # half a minute
    python experiments/quality/against_torch_fidelity.py                       # the FID's own layer
    python experiments/quality/against_torch_fidelity.py --n 200               # all but the FID

Both read two directories of drawn faces with the Inception network of the FID, by their own command
lines. Its weights are random, so that no download is needed; --weights FILE takes others.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from unittest.mock import patch

import torch
from torch_fidelity import feature_extractor_inceptionv3

from facegan.data.sources.synthetic import Synthetic
from facegan.pictures.sheets import picture, save_png

SIZE = 32
THEIRS = {
    "fd": "frechet_inception_distance",
    "kd": "kernel_inception_distance_mean",
    "precision": "precision",
    "recall": "recall",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=2100, help="pictures of each kind")
    parser.add_argument("--layer", type=int, default=2048, choices=(64, 192, 768, 2048))
    parser.add_argument("--weights", type=Path, help="of torch-fidelity's Inception")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        weights = options.weights or random_weights(root / "weights.pth")
        draw(root, "real", options.n, seed=0)
        draw(root, "generated", options.n, seed=1, contrast=0.8)
        ours = facegan(root, weights, options)
        theirs = torch_fidelity(root, weights, options)
    print(f"{options.n:,} generated against as many real images, layer {options.layer}\n")
    print("| | facegan.evaluate | fidelity | relative difference |\n|---|---:|---:|---:|")
    for name, their_name in THEIRS.items():
        if name not in ours:
            continue
        mine, other = ours[name], theirs[their_name]
        difference = abs(mine - other) / max(abs(other), 1e-12)
        print(f"| {name} | {mine:.6g} | {other:.6g} | {difference:.1e} |")


def random_weights(path: Path) -> Path:
    """Torch-fidelity's network before it has loaded any."""
    torch.manual_seed(0)
    with (
        patch.object(feature_extractor_inceptionv3, "load_state_dict_from_url", lambda *a, **k: {}),
        patch.object(torch.nn.Module, "load_state_dict", lambda *a, **k: None),
    ):
        network = feature_extractor_inceptionv3.FeatureExtractorInceptionV3(
            "inception-v3-compat", ["2048"]
        )
    torch.save(network.state_dict(), path)
    return path


def draw(root: Path, name: str, n: int, seed: int, contrast: float = 1.0) -> None:
    """Drawn faces as PNG files."""
    data = Synthetic(n=n, image_size=SIZE, draw_seed=seed, data_dir=str(root / "data"))
    (root / name).mkdir()
    for number, image in enumerate(torch.tensor(data.store.images)):
        shown = (image * contrast).to(torch.uint8)
        save_png(picture(shown), root / name / f"{number:06d}.png")


def facegan(root: Path, weights: Path, options: argparse.Namespace) -> dict[str, float]:
    """Scores by the names without the network's."""
    from facegan.quality.names import name_of

    enough = options.n > options.layer  # of fewer, facegan refuses a covariance
    extractor = f"kind: inception, weights: {weights}, layer: {options.layer}"
    command = [
        *(sys.executable, "-m", "facegan.evaluate", f"samples={root}/generated"),
        *("dataset=folder", f"dataset.root={root}/real", f"data_dir={root}/data", "split=all"),
        *(f"dataset.image_size={SIZE}", "dataset.channels=3", f"out={root}/out"),
        *(
            f"metrics=[{'fd,' if enough else ''}kd,prdc]",
            f"extractor={{{extractor}}}",
            f"n={options.n}",
        ),
        *("kid_subsets=1", f"kid_subset_size={options.n}"),
    ]
    subprocess.run(command, check=True)
    scores = json.loads((root / "out" / "evaluation.json").read_text())
    read_by = scores["extractor"]["name"]
    full = {name: name_of(name, read_by) for name in THEIRS}
    return {name: scores[key]["value"] for name, key in full.items() if key in scores}


def torch_fidelity(root: Path, weights: Path, options: argparse.Namespace) -> dict[str, float]:
    metrics = ("fid", "kid", "prc")
    command = [
        *(sys.executable, "-m", "torch_fidelity.fidelity", "--cpu", "--json", "--no-cache"),
        *("--input1", str(root / "generated"), "--input2", str(root / "real")),
        *("--feature-extractor", "inception-v3-compat"),
        *("--feature-extractor-weights-path", str(weights)),
        *(argument for metric in metrics for argument in layer_of(metric, options.layer)),
        *("--kid-subsets", "1", "--kid-subset-size", str(options.n)),
    ]
    answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return json.loads(answer[answer.index("{") :])


def layer_of(metric: str, layer: int) -> tuple[str, ...]:
    return f"--{metric}", f"--feature-layer-{metric}", str(layer)


if __name__ == "__main__":
    main()
