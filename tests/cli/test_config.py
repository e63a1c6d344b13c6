"""The command line: what composes, what is refused, and in which words."""

import logging
import os
import re
import shlex
import subprocess
import sys
import warnings
from importlib import import_module
from pathlib import Path

import pytest
import torch
from hydra.errors import MissingConfigException
from hypothesis import assume, given
from hypothesis import strategies as st
from omegaconf import DictConfig, OmegaConf

from facegan import sample as sample_module
from facegan import train as train_module
from facegan.cli import resume
from facegan.cli.conf import CONF_DIR, instantiate, plain
from facegan.cli.experiment import with_precision
from facegan.cli.invocation import Invocation
from facegan.cli.messages import sentence_of
from facegan.cli.overrides import SavedRun, parsed
from facegan.cli.process_state import quiet
from facegan.cli.run_data import with_data_of_the_run
from facegan.errors import InputError
from facegan.files import write_json
from facegan.launch.devices import num_devices, strategy_for
from facegan.quoting import assignment, quoted, with_quoted_paths
from facegan.training.settings import TrainerSettings
from tests.composing import build_experiment, changed, composed
from tests.conftest import TINY

GROUPS = ("dataset", "model", "trainer", "clustering", "callbacks", "logger", "experiment", "debug")
OPTIONS = [
    f"{group}={path.stem}" for group in GROUPS for path in sorted((CONF_DIR / group).glob("*.yaml"))
]


def compose(*overrides: str) -> DictConfig:
    return composed("config", *overrides, "run_dir=.")


@pytest.mark.parametrize("option", OPTIONS)
def test_every_option_of_every_group_composes_and_builds(option: str):
    pytest.importorskip("tensorboard" if "tensorboard" in option else "hydra")
    narrow = ["model.width_g=4", "model.width_d=4"]  # quickly made
    cfg = compose(option, "trainer.accelerator=cpu", "trainer.devices=1", *narrow)
    OmegaConf.resolve(cfg)
    for key in ("model", "dataset"):
        instantiate(cfg, key)
    callbacks = list((instantiate(cfg, "callbacks") or {}).values())
    instantiate(cfg, "logger")
    config = plain(cfg)
    config = with_precision(config, TrainerSettings.pick(config["trainer"]))
    trainer = instantiate(config, "trainer", callbacks=callbacks, logger=False)
    assert trainer.max_epochs in (cfg.trainer.max_epochs, 1)  # 1: debug=fdr


def test_groups_can_be_combined():
    cfg = compose("experiment=celeba64", "model=rpgan", "logger=[csv,wandb]", "debug=overfit")
    assert cfg.dataset.name == "celeba"
    assert cfg.model.loss == "rpgan"
    assert set(cfg.logger) == {"csv", "wandb"}
    assert cfg.dataset.limit == 64


def test_name_and_channels_follow_from_stacked():
    for stacked, expected in ((True, ("stacked_mnist", 3)), (False, ("mnist", 1))):
        cfg = compose("dataset=mnist", f"dataset.stacked={stacked}")
        data = instantiate(cfg, "dataset")
        assert (data.name, data.channels) == (cfg.dataset.name, cfg.model.channels) == expected


@pytest.mark.parametrize(
    ("devices", "nodes", "strategy"),
    [
        (1, 1, "auto"),
        ("1", 1, "auto"),
        (4, 1, "ddp_find_unused_parameters_true"),
        ("2", 1, "ddp_find_unused_parameters_true"),
        ([0, 3], 1, "ddp_find_unused_parameters_true"),
        ([3], 1, "auto"),
        ("0,1", 1, "ddp_find_unused_parameters_true"),
        (1, 2, "ddp_find_unused_parameters_true"),
    ],
)
def test_the_strategy_follows_from_the_devices(devices, nodes: int, strategy: str):
    assert strategy_for(devices, nodes) == strategy


def test_all_gpus_are_not_meant_where_none_are_used(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    assert num_devices("auto") == num_devices(-1, "gpu") == 2
    assert num_devices("auto", "cpu") == 1


@pytest.mark.parametrize("devices", ["4", "[0,3]", "'0,1'"])
def test_the_strategy_is_seen_in_the_configuration_and_can_be_chosen(devices: str):
    strategies = [
        compose(f"trainer.devices={devices}", *chosen).trainer.strategy
        for chosen in ([], ["trainer.strategy=fsdp"])
    ]
    assert strategies == ["ddp_find_unused_parameters_true", "fsdp"]


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("model.lrg=1", "no configuration key model.lrg; did you mean model.lr_g?"),
        ("lr_g=1", "did you mean model.lr_g?"),
        ("trainer.max_epoch=1", "did you mean trainer.max_epochs?"),
        ("dataset.imagesize=32", "did you mean dataset.image_size?"),
        ("sed=1", "did you mean seed?"),
        ("dataset=celba", "did you mean celeba? dataset can be: celeba, folder, mnist, synthetic."),
        ("model=dcgna", "did you mean dcgan?"),
        ("experiment=mnist_quik", "did you mean mnist_quick?"),
        ("logger=wandbb", "did you mean wandb?"),
        ("experimnt=x", "did you mean experiment?"),
        ("seed=-1", "seed must be"),
        ("trainer.devices=null", "trainer.devices must be a number"),
        ("trainer.max_time=5", "trainer.max_time must be DD:HH:MM:SS"),
        ("model.image_size=32", "model.image_size=32 does not fit dataset.image_size=16"),
        ("model.augment=[" + "color," * 60 + "colour]", "model.augment must be a list of color"),
        ("callbacks.samples.every_n_epochs=0", "callbacks.samples.every_n_epochs"),
        ("resume=", "resume= is empty"),
        ("ckpt=''", "ckpt= is empty"),
        ("ckpt=nowhere.ckpt", "There is no checkpoint at nowhere.ckpt"),
        ("resume=nowhere", "There is nothing to resume in nowhere"),
        ("seed=[", "seed=[ is not understood"),
        ("runs/synthetic/TIME", "write KEY=VALUE, like ckpt=RUN_DIR"),
        ("callbacks=[defaults]", "did you mean default? callbacks can be"),
        ("run_dir=elsewhere", "run_dir follows from hydra.run.dir"),
        ("--lr_g=0.001", "did you mean model.lr_g?"),
        ("--gpus", "--gpus is not an option: keys are set by KEY=VALUE"),
    ],
)
def test_a_mistake_gets_one_sentence(train, tmp_path: Path, override: str, sentence: str):
    status, output = train(override)
    assert status == 2
    assert sentence in output
    assert "Traceback" not in output
    assert len(output.strip().splitlines()) == 1, output
    assert not (tmp_path / "run" / "checkpoints").exists()


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("trainer.max_epochs=0", "trainer.max_epochs"),
        ("trainer.max_epochs=many", "trainer.max_epochs"),
        ("trainer.devices=0", "trainer.devices"),
        ("trainer.devices=2.5", "trainer.devices must be a number"),
        ("objective.metric=null", "objective.metric must be the name of a metric"),
        ("trainer.precision=8", "trainer.precision must be one of 32-true"),
        ("trainer.precision=bf16-true", "trainer.precision must be one of 32-true"),
        ("trainer.limit_train_batches=0", "trainer.limit_train_batches"),
        ("+trainer.max_steps=5", "use trainer.max_epochs"),
        ("trainer.sync_batchnorm=maybe", "trainer.sync_batchnorm must be true or false"),
        ("trainer.detect_anomaly=maybe", "trainer.detect_anomaly must be true or false"),
        ("trainer.log_every_n_steps=x", "trainer.log_every_n_steps must be a whole number"),
        ("trainer.num_nodes=2", "use torchrun or srun"),
        ("resume.fallback=maybe", "resume.fallback must be true or false"),
        ("model.betas_d=[0.5,2]", "model.betas_d"),
        ("model.loss=gan", "model.loss must be one of"),
        ("dataset.batch_size=-4", "dataset.batch_size"),
        ("dataset.image_size=50", "nearest are 48 and 56"),
        ("+trainer.gradient_clip_val=1", "use model.clip"),
        ("+trainer.accumulate_grad_batches=2", "use model.accumulate"),
    ],
)
def test_a_value_that_cannot_be_used_is_refused_before_training(
    tmp_path: Path, override: str, sentence: str
):
    with pytest.raises(InputError) as refused:
        build_experiment(changed(composed("config", *TINY, "run_dir=."), override))
    assert sentence in str(refused.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("model", ["rpgan", "wgan_gp"])
def test_half_precision_with_a_gradient_penalty_is_refused(model: str):
    cfg = composed("config", *TINY, f"model={model}", "trainer.precision=16-mixed", "run_dir=.")
    with pytest.raises(InputError, match="bf16-mixed"):
        build_experiment(cfg)


@pytest.mark.parametrize("option", ["hydra/sweeper=optuna", "hydra/launcher=submitit_slurm"])
def test_a_missing_extra_is_named(option: str):
    missing = option.replace("hydra/", "override hydra/").replace("=", "/")  # as Hydra says it
    error = MissingConfigException("no such option", missing, options=["basic"])
    sentence = sentence_of(error, "config", CONF_DIR)
    assert sentence.startswith(f"{option} needs packages that are not installed: pip install")
    assert "[sweep]" in sentence


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), "lower dataset."),
        (
            RuntimeError("DefaultCPUAllocator: can't allocate memory"),
            "lower dataset.",
        ),
        (MemoryError(), "lower dataset.batch_size"),
        (RuntimeError("CUDA error: no kernel image is available for execution"), "has no kernels"),
        (RuntimeError("Found no NVIDIA driver on your system."), "update the driver"),
        (RuntimeError("Failed to find C compiler. Please specify"), "set model.compile=false"),
    ],
)
def test_what_a_user_can_mend_of_a_device_is_a_sentence(train, monkeypatch, error, sentence: str):
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(train_module, "num_devices", fail)
    status, output = train()
    assert status == 2
    assert sentence in output
    assert "Traceback" not in output


def test_a_bug_keeps_its_traceback(train, monkeypatch: pytest.MonkeyPatch):
    def broken(*_: object) -> None:
        raise KeyError("a bug")

    monkeypatch.setattr(train_module, "num_devices", broken)
    with pytest.raises(KeyError, match="a bug"):
        train()


@pytest.mark.slow
@pytest.mark.parametrize("module", ["train", "sample", "cluster", "classify", "evaluate"])
def test_help_needs_no_torch(module: str):
    code = (
        f"import sys, facegan.{module} as m; sys.argv = ['x', '--help']\n"
        "try: m.main()\n"
        "finally: print('torch' in sys.modules)"
    )
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout
    assert f"python -m facegan.{module}" in output
    assert output.strip().endswith("False")


def test_a_node_that_cannot_be_built_is_named():
    cfg = compose("+model.colour=red")
    with pytest.raises(InputError, match=r"model\.colour"):
        instantiate(cfg, "model")


def save_run(directory: Path) -> None:
    """What is asked for of a run that is to be resumed."""
    for name in (".hydra/overrides.yaml", "checkpoints/last.ckpt"):
        (directory / name).parent.mkdir()
        (directory / name).touch()


def test_resuming_takes_the_overrides_of_the_run_except_those_given_again(tmp_path: Path):
    save_run(tmp_path)
    OmegaConf.save(
        ["dataset=mnist", "trainer.max_epochs=3", "trainer.max_time=00:00:01:00", "+x=1", "ckpt=a"],
        tmp_path / ".hydra" / "overrides.yaml",
    )
    arguments = [f"resume={tmp_path}", "trainer.max_epochs=9"]
    assert resume.with_resumed_overrides(arguments) == [
        f"resume.dir={tmp_path}",
        "dataset=mnist",
        "+x=1",
        f"hydra.run.dir='{tmp_path}'",
        "trainer.max_epochs=9",
    ]
    assert resume.with_resumed_overrides(["seed=1", "resume.dir=null"]) == [
        "seed=1",
        "resume.dir=null",
    ]


def test_a_run_resumed_from_elsewhere_finds_its_data(tmp_path: Path):
    save_run(tmp_path)
    OmegaConf.save(
        ["dataset=celeba", "dataset.root='my faces'", "data_dir=/there", "dataset.n=null"],
        tmp_path / ".hydra" / "overrides.yaml",
    )
    (tmp_path / ".hydra" / "hydra.yaml").write_text("hydra: {runtime: {cwd: /home/me}}")
    assert resume.with_resumed_overrides([f"resume={tmp_path}"])[1:5] == [
        "dataset=celeba",
        "dataset.root='/home/me/my faces'",
        "data_dir='/there'",
        "dataset.n=null",
    ]


def test_a_run_resumed_from_elsewhere_finds_the_directory_of_all_data(tmp_path: Path):
    save_run(tmp_path)
    (tmp_path / ".hydra" / "overrides.yaml").write_text("[dataset=celeba]")
    (tmp_path / ".hydra" / "config.yaml").write_text("data_dir: data")
    (tmp_path / ".hydra" / "hydra.yaml").write_text("hydra: {runtime: {cwd: /home/me}}")
    arguments = resume.with_resumed_overrides([f"resume={tmp_path}"])
    assert arguments[1:3] == ["dataset=celeba", "data_dir='/home/me/data'"]
    arguments = resume.with_resumed_overrides([f"resume={tmp_path}", "data_dir=here"])
    assert not any("/home/me" in argument for argument in arguments)


@pytest.mark.parametrize(
    ("override", "sentence"),
    [("trunc=1", "did you mean truncation?"), ("truncation=0", "truncation must be")],
)
def test_mistakes_in_sampling(run, override: str, sentence: str):
    status, output = run(sample_module, "ckpt=x", override)
    assert status == 2
    assert sentence in output
    assert len(output.strip().splitlines()) == 1


def test_the_data_of_a_run_are_found_again_from_elsewhere(tmp_path: Path):
    hydra_dir = tmp_path / "run" / ".hydra"
    hydra_dir.mkdir(parents=True)
    (hydra_dir / "hydra.yaml").write_text(
        "hydra: {runtime: {cwd: /home/me, choices: {dataset: celeba}}}"
    )
    (hydra_dir / "config.yaml").write_text(
        "data_dir: packed\n"
        "dataset: {_target_: x, name: o'clock, root: faces, data_dir: '${data_dir}', crop: null,"
        " flip: true, image_size: 64}"
    )
    ckpt = f"ckpt={tmp_path}/run/checkpoints/last.ckpt"
    got = with_data_of_the_run(["-c", "job", ckpt, "dataset.crop=108"])
    assert got == [
        *["-c", "job", ckpt, "dataset=celeba", "dataset.name='o\\'clock'"],
        *["dataset.root='/home/me/faces'", "dataset.data_dir='/home/me/packed'"],
        *["dataset.flip=true", "dataset.crop=108"],
    ]
    assert "dataset.data_dir='there'" not in with_data_of_the_run([ckpt, "data_dir=there"])
    for untouched in (["n=3"], [ckpt, "dataset=mnist"], [f"ckpt={tmp_path}/alone.ckpt"]):
        assert with_data_of_the_run(untouched) == untouched


@pytest.mark.parametrize("path", ["runs/mein lauf=ü,(zwei)", "run]", "[run"])
def test_data_of_a_run_are_found_whatever_its_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str
):
    monkeypatch.chdir(tmp_path)
    save_data(Path(path), "celeba", crop=108)
    got = with_data_of_the_run([f"ckpt={quoted(path)}"])
    assert got[1:] == ["dataset=celeba", "dataset.crop=108"]


def save_data(run_dir: Path, dataset: str, **settings: object) -> None:
    (run_dir / ".hydra").mkdir(parents=True)
    content = {"hydra": {"runtime": {"cwd": "/home/me", "choices": {"dataset": dataset}}}}
    OmegaConf.save(content, run_dir / ".hydra" / "hydra.yaml")
    OmegaConf.save({"dataset": settings}, run_dir / ".hydra" / "config.yaml")


def test_named_data_stay_stacked(tmp_path: Path):
    save_data(tmp_path / "run", "mnist", stacked=True)
    got = with_data_of_the_run([f"ckpt={tmp_path}/run", "dataset=mnist"])
    assert "dataset.stacked=true" in got


def test_named_data_keep_the_crop_of_the_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    save_data(tmp_path / "run", "celeba", crop=108, root="faces")
    typed = [f"ckpt={tmp_path}/run", "dataset=celeba", "dataset.root=here"]
    assert with_data_of_the_run(typed) == [typed[0], "dataset.crop=108", *typed[1:]]
    assert capsys.readouterr().err == ""
    other = [*typed, "dataset.crop=178"]
    assert with_data_of_the_run(other) == other
    assert "was trained with crop=108 (now 178)" in capsys.readouterr().err


def test_a_run_with_an_interpolation_among_its_overrides_is_resumed(tmp_path: Path):
    save_run(tmp_path)
    (tmp_path / ".hydra" / "overrides.yaml").write_text("- clustering.seed=${seed}\n")
    assert "clustering.seed=${seed}" in resume.with_resumed_overrides([f"resume={tmp_path}"])


@pytest.mark.parametrize("key", ["quality.extractor.weights", "cnn.ckpt"])
def test_a_run_resumed_from_elsewhere_finds_its_files(tmp_path: Path, key: str):
    save_run(tmp_path)
    (tmp_path / ".hydra" / "overrides.yaml").write_text(f"[{key}=net.ckpt]")
    (tmp_path / ".hydra" / "hydra.yaml").write_text("hydra: {runtime: {cwd: /home/me}}")
    assert f"{key}='/home/me/net.ckpt'" in resume.with_resumed_overrides([f"resume={tmp_path}"])


TEXTS = st.text(st.characters(exclude_characters="\0"), min_size=1)  # also names that are no UTF-8
ODD = [
    *("grün", "20240131", "1e5", "0x10", "true", "NaN", "NULL", "my run (1)", "a,b", "[x]", "{y}"),
    *("it's", 'a"b', "lauf=ü", "#1", "a\\'b", "end\\", "caf\udce9", " ", "a\nb", "glob(*)"),
    *(r"\\server\share", "C:\\Users\\me", "-x", "'"),
]


@given(TEXTS)
def test_hydra_reads_a_quoted_text_as_it_is(text: str):
    assert parsed([f"key={quoted(text)}"])["key"].value() == text


@given(st.sampled_from(["hydra.run.dir", "ckpt", "out", "+cnn.ckpt", "dataset.root", "dir"]), TEXTS)
def test_a_path_is_read_as_it_is_typed(key: str, path: str):
    written = re.fullmatch(r"""~.*|null|(['"]).*\1""", path, re.DOTALL)  # these mean something
    assume(not written)
    (argument,) = with_quoted_paths([f"{key}={path}"])
    assert parsed([argument])[key.lstrip("+")].value() == path


@given(TEXTS)
def test_a_path_in_a_message_can_be_pasted_into_a_shell(path: str):
    (argument,) = shlex.split(assignment("ckpt", path))
    assert with_quoted_paths([argument]) == [argument]
    assert parsed([argument])["ckpt"].value() == path


@pytest.mark.parametrize("path", ODD)
def test_a_path_is_quoted_alike_however_odd(path: str):
    (argument,) = with_quoted_paths([f"hydra.run.dir={path}"])
    assert parsed([argument])["hydra.run.dir"].value() == path


@pytest.mark.parametrize("path", [path for path in ODD if path.strip() and "\\" not in path])
def test_runs_to_compare_are_read_whatever_their_paths(tmp_path: Path, path: str):
    for name in (path, "other"):
        (tmp_path / name).mkdir()
    (argument,) = with_quoted_paths([f"compare=[{path}, other]"])
    assert list(parsed([argument])["compare"].value()) == [path, "other"]


def test_hyphens_of_an_agent_are_understood():
    typed = ["--model.lr_g=0.001", "--dataset.root=grün", "--cfg=job", "--multirun"]
    assert with_quoted_paths(typed) == [
        *("model.lr_g=0.001", "dataset.root='grün'", "--cfg=job", "--multirun"),
    ]


def test_paths_of_a_sweep_may_be_several():
    typed = ["-m", "dataset.root=a,b", "out=choice(x,y)"]
    assert with_quoted_paths(typed) == typed


@pytest.mark.parametrize("name", ["mein lauf=ü,[2]", "007", "caf\udce9", r"\\server\it's"])
def test_a_run_goes_to_the_directory_that_was_named(run, tmp_path: Path, monkeypatch, name: str):
    def train_rank(invocation: Invocation) -> None:
        write_json(Path(invocation.config["run_dir"], "result.json"), {"objective": 0.5})

    monkeypatch.setattr(train_module, "train_rank", train_rank)
    status, output = run(train_module, *TINY, f"hydra.run.dir=runs/{name}")
    assert status == 0, output
    assert [path.name for path in (tmp_path / "runs").iterdir()] == [name]
    run_dir = tmp_path / "runs" / name
    assert (run_dir / "result.json").is_file()
    assert SavedRun(run_dir).config.seed == 0
    (run_dir / "checkpoints").mkdir()
    (run_dir / "checkpoints" / "last.ckpt").touch()
    status, output = run(train_module, f"resume=runs/{name}")
    assert status == 0, output
    assert [path.name for path in (tmp_path / "runs").iterdir()] == [name]


@pytest.mark.parametrize(
    "noise",
    [
        "KMeans is known to have a memory leak on Windows with MKL, when there are less chunks",
        "Glyph 128512 (\\N{GRINNING FACE}) missing from font(s) DejaVu Sans.",
        "Glyph 30000 (x) missing from current font.",
    ],
)
def test_warnings_that_help_nobody_are_not_shown(noise: str):
    with warnings.catch_warnings(record=True) as shown, quiet():
        warnings.warn(noise, UserWarning, stacklevel=1)
    assert not shown


def test_commands_leave_their_process_as_they_found_it(
    run, trained: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(sys, "argv", ["before"])
    before = dict(os.environ), list(warnings.filters), list(logging.getLogger().handlers)
    for overrides, expected in ((["ckpt=null"], 2), ([f"ckpt={trained}", "n=2"], 0)) * 2:
        status, output = run(sample_module, *overrides)
        assert status == expected, output
        assert "Traceback" not in output
        after = dict(os.environ), list(warnings.filters), list(logging.getLogger().handlers)
        assert after == before


def test_a_callback_can_be_left_out(tmp_path: Path):
    off = [f"callbacks.{name}=null" for name in ("quality", "best", "clusters")]
    cfg = changed(composed("config", *TINY), *off, f"run_dir={tmp_path}", f"data_dir={tmp_path}")
    kinds = {type(callback).__name__ for callback in build_experiment(cfg).callbacks}
    assert "Samples" in kinds
    assert not {"Quality", "Clusters", "NoneType"} & kinds


def test_one_batch_through_everything_is_quick():
    cfg = compose("debug=fdr")
    assert max(cfg.quality.n, cfg.quality.real, cfg.clustering.n) <= 100


@pytest.mark.parametrize("command", ["train", "sample", "cluster", "classify", "evaluate"])
def test_help_says_what_keys_mean(command: str, run, monkeypatch):
    module = import_module(f"facegan.{command}")
    monkeypatch.setenv("COLUMNS", "100")
    status, output = run(module, "--help")
    assert status == 0
    meaning = {
        "train": "feature maps before the generator's last layer",
        "sample": "latents cut to",
        "cluster": "number of clusters",
        "classify": "logistic regression",
        "evaluate": "metrics to compute",
    }[command]
    assert meaning in output
    assert "/settings" not in output
    keys = re.findall(r"^  ([a-z][\w.]*)  ", output, re.MULTILINE)
    assert sorted(keys) == sorted(set(keys))
    assert "seed" in keys
    assert not {"run_dir", "searched"} & set(keys)  # users do not set them
