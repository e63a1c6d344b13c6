"""What the README tells people to type is there."""

import re
import shlex
from pathlib import Path

import hydra
import pytest

from facegan.cli.conf import CONF_DIR

ROOT = Path(__file__).parents[1]
DOCS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *ROOT.glob("experiments/**/README.md")]
LINES = [
    line.split("#")[0].strip()
    for path in DOCS
    for block in re.findall(r"```(?:sh)?\n(.*?)```", path.read_text(), re.DOTALL)
    for line in block.replace("\\\n", " ").splitlines()
]


@pytest.mark.parametrize(
    "line", [line for line in LINES if "-m facegan." in line and "facegan.report" not in line]
)
def test_commands_compose(line: str):
    module, *overrides = shlex.split(line.split("-m facegan.")[1])
    overrides = [o for o in overrides if not o.startswith("-")]
    if any("," in o and "[" not in o for o in overrides):  # a multirun: its first job
        overrides = [o.split(",")[0] for o in overrides]
    config = {"train": "config"}.get(module, module)
    with hydra.initialize_config_dir(version_base="1.3", config_dir=str(CONF_DIR)):
        assert hydra.compose(config, overrides)


def test_make_targets_exist():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {line.split()[1] for line in LINES if line.startswith("make ")}
    assert named
    assert named <= targets


def test_files_that_are_linked_exist():
    for path in DOCS:
        for link in re.findall(r"\]\((?!http)([^)#]+)", path.read_text()):
            assert (path.parent / link).exists(), f"{path.name}: {link}"
