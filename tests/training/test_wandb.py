"""Weights & Biases: a run of our own, online or offline, with the configuration of the training."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from facegan.training.loggers import log_configuration, log_picture, log_table

wandb = pytest.importorskip("wandb")

from facegan.training.loggers.wandb import WandbLogger  # noqa: E402  # needs wandb


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("WANDB_MODE", "offline")
    yield
    wandb.teardown()


def logger_in(run_dir: Path) -> WandbLogger:
    return WandbLogger(str(run_dir), "test")


@pytest.mark.slow
@pytest.mark.usefixtures("offline")
def test_a_resumed_run_continues_the_same_wandb_run(tmp_path: Path):
    versions = []
    for name in ("a", "a", "b"):
        logger = logger_in(tmp_path / name)
        logger.log_metrics({"loss/d": 1.0}, 8)
        versions.append(logger.version)
        logger.close()
    assert versions[0] == versions[1] != versions[2]


@pytest.mark.slow
@pytest.mark.usefixtures("offline")
def test_another_run_of_the_process_is_neither_joined_nor_ended(tmp_path: Path):
    foreign = wandb.init(
        project="other", mode="offline", dir=tmp_path, settings=wandb.Settings(silent=True)
    )
    logger = logger_in(tmp_path)
    logger.log_metrics({"loss/d": 1.0}, 8)
    assert logger.version != foreign.id
    logger.close()
    foreign.log({"mine": 1})  # raises if the run has ended
    assert foreign.summary["mine"] == 1
    foreign.finish()


@pytest.mark.slow
@pytest.mark.usefixtures("offline")
def test_the_configuration_reaches_the_run(tmp_path: Path):
    logger = logger_in(tmp_path)
    log_configuration([logger], {"dataset": {"batch_size": 64}, "trainer": {"precision": "32"}})
    assert not list(tmp_path.iterdir())  # a run may still be refused
    logger.log_hyperparams({"width_g": 4})
    config = dict(logger.experiment.config)
    assert config["dataset"]["batch_size"] == 64
    assert config["trainer"]["precision"] == "32"
    assert config["facegan"]["version"]
    assert config["width_g"] == 4
    logger.close()


@pytest.mark.slow
@pytest.mark.usefixtures("offline")
def test_pictures_and_tables_reach_the_run(tmp_path: Path):
    logger = logger_in(tmp_path)
    log_picture([logger], "samples", Image.new("RGB", (7, 5), (1, 2, 3)), 8)
    log_table([logger], "clusters/attributes", ["cluster", "lift"], [[0, 1.5]], 8)
    summary = dict(logger.experiment.summary)
    assert summary["images_seen"] == 8
    logger.close()
    (picture,) = tmp_path.glob("wandb/offline-run-*/files/media/images/*.png")
    with Image.open(picture) as image:
        assert (image.size, image.getpixel((0, 0))[:3]) == ((7, 5), (1, 2, 3))
    (table,) = tmp_path.glob("wandb/offline-run-*/files/media/table/clusters/*.json")
    assert '"lift"' in table.read_text()


class Run:
    """A run of a server that exists only here."""

    id, url = "abc", "https://wandb.ai/me/facegan/runs/abc"

    def __init__(self) -> None:
        self.config: dict[str, Any] = {}
        self.finished = 0
        self.artifacts: dict[str, Any] = {}

    def define_metric(self, *_: Any, **__: Any) -> None: ...

    def log(self, *_: Any) -> None: ...

    def log_artifact(self, artifact: Any, aliases: list[str]) -> None:
        self.artifacts[aliases[0]] = artifact

    def finish(self) -> None:
        self.finished += 1


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture):
    monkeypatch.setattr(wandb, "login", lambda **_: True)
    caplog.set_level(logging.INFO, logger="facegan")
    return caplog


def test_the_address_of_an_online_run_is_announced(tmp_path: Path, logged, monkeypatch):
    run = Run()
    monkeypatch.setattr(wandb, "init", lambda **_: run)
    logger = logger_in(tmp_path)
    for step in (8, 16):
        logger.log_metrics({"loss/d": 1.0}, step)
    assert logged.text.count(Run.url) == 1
    logger.close()
    logger.close()
    assert run.finished == 1


def test_a_server_that_cannot_be_reached_means_offline(tmp_path: Path, logged, monkeypatch):
    modes: list[str] = []

    def init(**options: Any) -> Run:
        modes.append(options["mode"])
        if options["mode"] == "online":
            raise wandb.errors.CommError("no route to host")
        return Run()

    monkeypatch.setattr(wandb, "init", init)
    logger_in(tmp_path).log_metrics({"loss/d": 1.0}, 8)
    assert modes == ["online", "offline"]
    assert "cannot be reached (no route to host)" in logged.text
    assert f"wandb sync {tmp_path}/wandb/offline-run-*" in logged.text
    assert Run.url not in logged.text


def test_a_lost_network_does_not_keep_a_run_from_ending(tmp_path: Path, logged, monkeypatch):
    class Lost(Run):
        def finish(self) -> None:
            raise TimeoutError("no answer in 300 seconds")

    given: dict[str, Any] = {}
    monkeypatch.setattr(wandb, "init", lambda **options: given.update(options) or Lost())
    logger = logger_in(tmp_path)
    logger.log_metrics({"loss/d": 1.0}, 8)
    logger.close()
    assert given["settings"].finish_timeout > 0
    assert f"upload it later with: wandb sync {tmp_path}" in logged.text


def test_the_result_is_on_the_disk_before_the_upload(train, tmp_path: Path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    found: list[bool] = []

    class Watched(Run):
        def finish(self) -> None:
            found.append((tmp_path / "run" / "result.json").is_file())

    monkeypatch.setattr(wandb, "init", lambda **_: Watched())
    status, output = train("logger=wandb", "callbacks=[checkpoints]")
    assert status == 0, output
    assert found == [True]


def test_best_is_the_best_checkpoint_and_latest_the_last(tmp_path: Path, logged, monkeypatch):
    run = Run()
    monkeypatch.setattr(wandb, "init", lambda **_: run)
    (tmp_path / "checkpoints").mkdir()
    for name in ("best", "last", "epoch_005"):
        (tmp_path / "checkpoints" / f"{name}.ckpt").write_text(name, encoding="utf-8")
    logger = WandbLogger(str(tmp_path), "test", log_model=True)
    logger.log_metrics({"loss/d": 1.0}, 8)
    logger.close()
    sizes = {alias: artifact.size for alias, artifact in run.artifacts.items()}
    assert sizes == {"best": 4, "latest": 4}
    assert run.artifacts["best"].digest != run.artifacts["latest"].digest
    assert {artifact.name for artifact in run.artifacts.values()} == {"model-abc"}


@pytest.fixture
def ids(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Ids of the W&B runs that have started."""
    found: list[str] = []
    monkeypatch.setattr(wandb, "init", lambda **options: found.append(options["id"]) or Run())
    monkeypatch.setattr(wandb, "login", lambda **_: True)
    return found


def start(run_dir: Path, **options: Any) -> None:
    logger = WandbLogger(str(run_dir), "test", **options)
    logger.log_metrics({"loss/d": 1.0}, 8)
    logger.close()


def test_an_id_that_was_given_is_kept_when_the_run_is_resumed(tmp_path: Path, ids, monkeypatch):
    monkeypatch.setenv("WANDB_RUN_ID", "given")
    start(tmp_path)
    monkeypatch.delenv("WANDB_RUN_ID")
    start(tmp_path)
    start(tmp_path / "other", id="mine")
    assert ids == ["given", "given", "mine"]


def test_the_id_of_an_agent_is_used(tmp_path: Path, ids, monkeypatch):
    start(tmp_path)
    monkeypatch.setenv("WANDB_SWEEP_ID", "sweep")
    monkeypatch.setenv("WANDB_RUN_ID", "agents")
    start(tmp_path)
    assert ids[1] == "agents"


def test_jobs_of_a_sweep_do_not_share_an_id(tmp_path: Path, ids, monkeypatch):
    monkeypatch.setenv("WANDB_RUN_ID", "given")
    for job in ("0", "1"):
        start(tmp_path / job, group="sweep")
    assert ids == ["given-0", "given-1"]
