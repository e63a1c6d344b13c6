"""What the README tells people to type works, with tiny sizes appended, and can be pasted."""

import os
import re
import shlex
import subprocess
import sys
import tokenize
from importlib import import_module
from pathlib import Path

import pytest

from facegan.cli.conf import CONF_DIR
from facegan.sample import with_conditions
from tests.composing import composed
from tests.conftest import run_main
from tests.data.fakes import FakeCelebA, jpeg, write_mnist
from tests.pages.test_leaderboard import job

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
DOCS = [README, ROOT / "CONTRIBUTING.md", *ROOT.glob("experiments/**/README.md")]


def shell_lines(path: Path) -> list[str]:
    blocks = re.findall(r"```sh\n(.*?)```", path.read_text(encoding="utf-8"), re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line]


def help_lines() -> list[str]:
    """The examples in the help of every command."""
    texts = [path.read_text(encoding="utf-8") for path in CONF_DIR.rglob("*.yaml")]
    examples = [text.partition("Example")[2] for text in texts if "template: |" in text]
    return [line.strip() for text in examples for line in text.splitlines() if "-m fac" in line]


def prose(path: Path) -> str:
    """What people read in a file: all of it; of a Python file its strings and comments."""
    if path.suffix != ".py":
        return path.read_text(encoding="utf-8")
    with tokenize.open(path) as file:
        tokens = list(tokenize.generate_tokens(file.readline))
    kinds = ("STRING", "FSTRING_MIDDLE", "COMMENT")
    return "\n".join(t.string for t in tokens if tokenize.tok_name[t.type] in kinds)


COMMANDS = [line for line in shell_lines(README) if "-m facegan." in line]
LINES = [line for path in DOCS for line in shell_lines(path)] + help_lines()
ALL_COMMANDS = [line for line in LINES if "-m facegan." in line]
READ = [*DOCS, ROOT / "CHANGELOG.md", *CONF_DIR.rglob("*.yaml"), *ROOT.glob("facegan/**/*.py")]

# Appended to a command, so that it takes seconds. What a machine without a GPU cannot run is
# replaced: the later of two values of a key counts.
SMALL_DATA = ["dataset.image_size=16", "dataset.batch_size=4", "dataset.limit=16"]
SMALL_TRAINING = [
    *SMALL_DATA,
    *("model.width_g=4", "model.width_d=4", "model.latent_dim=8"),
    *("trainer.accelerator=cpu", "trainer.max_epochs=2", "trainer.precision=32-true"),
    *("trainer.enable_progress_bar=false", "clustering.k=3", "clustering.n=16"),
    *("clustering.generated=8", "quality.n=16", "quality.real=16"),
]
SMALL = {
    "train": SMALL_TRAINING,
    "sample": ["n=4"],
    "cluster": ["clustering.k=3", "clustering.n=16", "clustering.generated=8"],
    "classify": [
        "classify.components=4",
        "classify.references=[majority,pixels]",
        "cnn.max_epochs=1",
    ],
    "evaluate": ["n=16", "real=16", "metrics=[kd,prdc]"],
    "report": [],
}
FEWER = {  # of what a command asks for
    "trainer.devices=4": ["trainer.devices=2"],
    "model.lr_d=1e-4,2e-4": ["model.lr_d=1e-4"],
    "sweep=losses": ["model=dcgan,lsgan", "seed=0"],
    "hydra.launcher.n_jobs=4": ["hydra.launcher.n_jobs=2"],
    "hydra.sweeper.n_trials=20": ["hydra.sweeper.n_trials=1"],
}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working directory with CelebA, pictures, a finished run and a sweep, all tiny."""
    directory = tmp_path_factory.mktemp("readme")
    FakeCelebA(list(range(1, 61))).write(directory / "celeba")
    write_mnist(directory / "mnist")
    (directory / "pictures").mkdir()
    for number in range(24):
        (directory / "pictures" / f"{number}.jpg").write_bytes(jpeg(number, (40, 40)))
    data = ["dataset=celeba", f"dataset.root={directory / 'celeba'}"]
    finished = [*data, *SMALL_TRAINING, "trainer.max_epochs=1", "hydra.run.dir=run"]
    train = import_module("facegan.train")
    run_main(train, *finished, at=directory)
    obeying = ["condition=attributes", "condition.names=[Smiling,Eyeglasses]"]
    run_main(train, *finished, *obeying, "hydra.run.dir=obeying", at=directory)
    for number in range(2):
        job(directory / "sweep", number, [f"seed={number}"], objective=0.5)
    classify = ["ckpt=run", "classify.probe=cnn", "cnn.max_epochs=1"]
    # The network that label= needs.
    run_main(import_module("facegan.classify"), *classify, at=directory)
    return directory


def facegan(module: str, *arguments: str, at: Path, program: tuple[str, ...] = ()) -> str:
    program = program or (sys.executable,)
    command = [*program, "-m", f"facegan.{module}", *arguments]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "2"}
    done = subprocess.run(
        command, cwd=at, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, f"{shlex.join(command)}\n{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr


def tiny(line: str, world: Path) -> tuple[tuple[str, ...], str, list[str]]:
    """The program, the module and the arguments of a README line, made small."""
    before, _, after = line.partition("-m facegan.")
    module, *arguments = shlex.split(after)
    program: tuple[str, ...] = (sys.executable,)
    if before.startswith("torchrun"):
        program = (sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2")
    data = world / ("celeba" if "celeba" in line else "pictures")
    run = world / ("obeying" if "condition." in line or "adherence" in line else "run")
    arguments = [
        argument.replace("DIR", str(data))
        .replace("RUN", str(run))
        .replace("runs/mnist/sweep_TIME", str(world / "sweep"))
        .replace("trainer=gpu", "trainer=cpu")
        for argument in arguments
    ]
    small = list(SMALL[module])
    for asked, fewer in FEWER.items():
        small += fewer if asked in line else []
    if "dataset=celeba" in line and "dataset.root" not in line:
        small.append(f"dataset.root={world / 'celeba'}")
    if "resume=" in line:  # its sizes are saved in the run
        small = ["trainer.max_epochs=2"]
    elif module == "train" and "dataset" not in line and "experiment" not in line:
        small.append("dataset.n=60")
    if "attributes=[Smiling,Eyeglasses,Male]" in line:
        small = [override for override in small if not override.startswith("clustering.k=")]
    if "-m " in after or "sweep=" in line:
        small += ["callbacks=[checkpoints,samples]", "objective.metric=loss/g"]
    if "experiment=mnist" in line:
        small = [o for o in small if "image_size" not in o] + [f"dataset.root={world / 'mnist'}"]
    return program, module, [*arguments, *small]


@pytest.mark.slow
@pytest.mark.parametrize("line", COMMANDS)
def test_commands_run(line: str, world: Path):
    if "optuna" in line:
        pytest.importorskip("hydra_plugins.hydra_optuna_sweeper")
    program, module, arguments = tiny(line, world)
    if program == (sys.executable,) and not re.search(
        "-m | sweep=|devices=", line.split("-m", 1)[1]
    ):
        run_main(import_module(f"facegan.{module}"), *arguments, at=world)
    else:  # Hydra keeps state of a sweep
        facegan(module, *arguments, at=world, program=program)


@pytest.mark.slow
def test_the_python_example_runs(world: Path):
    (block,) = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    assert len(block.splitlines()) <= 15
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", block], cwd=world, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("line", ALL_COMMANDS)
def test_commands_compose(line: str):
    module, *overrides = shlex.split(line.split("-m facegan.")[1], comments=True)
    overrides = [o for o in overrides if not o.startswith("-")]
    overrides = [o if "[" in o else o.split(",")[0] for o in overrides]  # a sweep: its first job
    if module == "sample":
        overrides = with_conditions(overrides)
    assert composed({"train": "config"}.get(module, module), *overrides)


@pytest.mark.parametrize("line", LINES)
def test_lines_can_be_pasted_into_any_shell(line: str):
    """zsh takes comments for arguments and brackets for patterns; PowerShell splits at commas."""
    assert "#" not in line
    assert "\\" not in line
    for word in re.findall(r"(?:'[^']*'|\S)+", line):
        assert not (set("[]*?{}$,") & set(word)) or word[0] == word[-1] == "'", word


def test_help_has_examples():
    modules = {re.search(r"facegan\.(\w+)", line)[1] for line in help_lines()}  # type: ignore[index]
    assert modules == {"train", "sample", "cluster", "classify", "evaluate", "report"}


@pytest.mark.parametrize("path", READ, ids=lambda path: str(path.relative_to(ROOT)))
def test_lists_to_be_typed_are_quoted(path: Path):
    """In comments, docstrings and messages, too: zsh takes brackets for patterns."""
    assert re.findall(r"(?<!['\w.])[a-z][\w.]*=\[.*", prose(path)) == []


def test_the_readme_is_short():
    assert len(README.read_text(encoding="utf-8").splitlines()) <= 220


def test_make_targets_exist():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    lines = [line for path in DOCS for line in shell_lines(path)]
    named = {line.split()[1] for line in lines if line.startswith("make ")}
    assert named
    assert named <= targets


def test_files_that_are_linked_exist():
    for path in DOCS:
        for link in re.findall(r"\]\((?!http)([^)#]+)", path.read_text(encoding="utf-8")):
            assert (path.parent / link).exists(), f"{path.name}: {link}"
