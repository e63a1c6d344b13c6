"""How well clusters agree with chosen attributes: of pixels, features, probes and the labels.

    python experiments/attributes/agreement.py RUN --attributes Smiling,Eyeglasses,Male
    python experiments/attributes/agreement.py RUN --attributes digit

Each is clustered by ``facegan.cluster`` on the same held-out images of the run's data, into as many
clusters as the attributes need. Prints a table in Markdown: NMI and ARI with each attribute and
with their combination.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

SPACES = {"probe": "probe", "features": "features", "pixels": "pixels", "attributes": "labels"}


def clustered(run: str, attributes: str, space: str, split: str, k: int | None) -> dict:
    """The scores of one clustering, with its number of clusters as ``k``."""
    with tempfile.TemporaryDirectory() as out:
        command = [sys.executable, "-m", "facegan.cluster", f"ckpt={run}", f"out={out}"]
        command += [f"clustering.attributes=[{attributes}]", f"clustering.space={space}"]
        command += [f"clustering.split={split}", f"clustering.k={'null' if k is None else k}"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        scores = json.loads((Path(out) / "metrics.json").read_text())
    return {**scores, "k": sum(name.startswith("share/") for name in scores)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run")
    parser.add_argument("--attributes", action="append", required=True, help="comma-separated")
    parser.add_argument("--split", default="val", choices=["val", "test"])
    options = parser.parse_args()
    for attributes in options.attributes:
        found: dict[str, dict] = {}
        for space in SPACES:  # the probe first: it says how many clusters there are
            k = found["probe"]["k"] if found else None
            found[space] = clustered(options.run, attributes, space, options.split, k)
        probe = found["probe"]
        labels = [name.removeprefix("nmi/") for name in probe if name.startswith("nmi/")]
        labels = [label for label in labels if label != "mean"]
        print(f"\n{attributes}, k = {probe['k']}: {probe['images']}\n")
        print(f"| NMI / ARI with | {' | '.join(SPACES.values())} |")
        print(f"|---|{'---:|' * len(SPACES)}")
        for label in labels:
            cells = (f"{f[f'nmi/{label}']:.3f} / {f[f'ari/{label}']:.3f}" for f in found.values())
            print(f"| {label} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
