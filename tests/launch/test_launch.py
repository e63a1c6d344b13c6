"""Several processes: which one this is, what they agree on, and how they end."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from facegan import train as train_module
from facegan.files import read_csv
from facegan.gan.checkpoint import read_checkpoint
from facegan.launch import environment, processes
from facegan.launch.environment import (
    local_world_size,
    nodes,
    rank,
    restarted,
    run_name,
)
from tests.conftest import TINY

LONG = [*TINY, "callbacks=[checkpoints,progress]", "trainer.max_epochs=500"]
EXTERNAL = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "TORCHELASTIC_RUN_ID")


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in list(os.environ):
        if name in EXTERNAL or name.startswith("SLURM_"):
            monkeypatch.delenv(name)
    return monkeypatch


def test_a_single_process(alone: pytest.MonkeyPatch):
    assert (rank(), local_world_size(), nodes()) == (0, 1, 1)
    assert not environment.started()
    assert not restarted()
    assert re.fullmatch(r"\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d", run_name())


def test_a_rank_of_srun(alone: pytest.MonkeyPatch):
    step = {"JOB_ID": "77", "STEP_ID": "0", "PROCID": "5", "NTASKS": "8", "STEP_NUM_NODES": "2"}
    for name, value in step.items():
        alone.setenv(f"SLURM_{name}", value)
    assert (rank(), local_world_size(), nodes()) == (5, 4, 2)
    assert environment.started()
    assert run_name() == "slurm_77"
    alone.setenv("SLURM_STEP_ID", "1")
    assert run_name() == "slurm_77_1"
    assert not restarted()
    alone.setenv("SLURM_RESTART_COUNT", "1")
    assert restarted()


@pytest.mark.parametrize("name", ["WORLD_SIZE", "OMPI_COMM_WORLD_SIZE", "PMI_SIZE"])
def test_processes_of_another_launcher_are_refused(alone, run, tmp_path: Path, name: str):
    alone.setenv(name, "4")
    status, output = run(train_module, *TINY)
    assert status == 2
    assert f"{name}=4 is set, but not by torchrun or srun" in output
    assert not list(tmp_path.iterdir())
    alone.setenv(name, "1")
    assert environment.started_otherwise() is None
    alone.setenv("TORCHELASTIC_RUN_ID", "none")
    alone.setenv(name, "4")
    assert environment.started_otherwise() is None


def test_runs_within_one_step_of_srun_have_names_of_their_own(alone: pytest.MonkeyPatch):
    """As in JupyterHub; but one that was started again goes on."""
    for name, value in {"JOB_ID": "77", "STEP_ID": "0", "PROCID": "0", "NTASKS": "1"}.items():
        alone.setenv(f"SLURM_{name}", value)
    assert environment.names_directories()
    alone.setenv("SLURM_RESTART_COUNT", "1")
    assert not environment.names_directories()
    alone.delenv("SLURM_RESTART_COUNT")
    alone.setenv("SLURM_NTASKS", "2")  # which cannot tell each other
    assert not environment.names_directories()


def test_a_restart_without_srun_has_a_name_of_its_own(alone: pytest.MonkeyPatch):
    """It is called after the time of the start: there is nothing to go on in."""
    alone.setenv("SLURM_RESTART_COUNT", "1")
    assert environment.names_directories()


def test_an_interactive_shell_of_srun_is_not_a_rank(alone: pytest.MonkeyPatch):
    for name, value in {"JOB_ID": "77", "STEP_ID": "0", "PROCID": "0", "PTY_PORT": "1"}.items():
        alone.setenv(f"SLURM_{name}", value)
    assert not run_name().startswith("slurm")


@pytest.mark.slow
def test_several_devices_within_one_task_of_srun(
    alone: pytest.MonkeyPatch, started, tmp_path: Path, data_dir: Path
):
    step = {"JOB_ID": "5", "STEP_ID": "0", "PROCID": "0", "NTASKS": "1", "LOCALID": "0"}
    for name, value in {**step, "JOB_NAME": "submitit", "NODELIST": "localhost"}.items():
        alone.setenv(f"SLURM_{name}", value)
    options = ["trainer.devices=2", "trainer.max_epochs=1", f"data_dir={data_dir}"]
    job = started(*options)
    output, _ = job.communicate(timeout=120)
    assert job.returncode == 0, output
    assert read_checkpoint(tmp_path / "runs/synthetic/slurm_5")["images_seen"] == 64


def test_a_batch_script_outside_srun_is_not_a_rank(alone: pytest.MonkeyPatch):
    for name, value in {"JOB_ID": "77", "PROCID": "0", "NTASKS": "8"}.items():
        alone.setenv(f"SLURM_{name}", value)
    assert not environment.started()
    assert rank() == 0


def test_a_rank_of_torchrun(alone: pytest.MonkeyPatch):
    given = {"TORCHELASTIC_RUN_ID": "none", "RANK": "3", "LOCAL_RANK": "1"}
    for name, value in {**given, "WORLD_SIZE": "4", "LOCAL_WORLD_SIZE": "2"}.items():
        alone.setenv(name, value)
    assert (rank(), local_world_size(), nodes()) == (3, 2, 2)
    assert environment.started()


def train(*overrides: str, program: tuple[str, ...] = (sys.executable,)) -> subprocess.Popen:
    command = [*program, "-m", "facegan.train", *LONG, *overrides]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )


def wait_for(path: Path, newer_than: float = 0.0) -> None:
    for _ in range(600):
        if path.is_file() and path.stat().st_mtime > newer_than:
            return
        time.sleep(0.1)
    pytest.fail(f"{path} did not appear")


def processes_in(directory: Path) -> list[int]:
    """Those whose working directory this is."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if (path / "cwd").readlink() == directory and int(path.name) != os.getpid():
                found.append(int(path.name))
        except OSError:
            continue
    return found


def rank_of(directory: Path, number: int) -> int:
    for pid in processes_in(directory):
        environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        if f"LOCAL_RANK={number}".encode() in environment:
            return pid
    pytest.fail(f"there is no process {number}")


@pytest.fixture
def started() -> Iterator[Callable[..., subprocess.Popen]]:
    running = []

    def start(*overrides: str, **options) -> subprocess.Popen:
        running.append(train(*overrides, **options))
        return running[-1]

    yield start
    for process in running:
        process.kill()
        process.communicate()


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="finds processes in /proc")
def test_a_rank_that_is_killed_ends_the_job_with_a_sentence(
    started: Callable[..., subprocess.Popen], tmp_path: Path, data_dir: Path
):
    for number in (0, 1):
        run_dir = tmp_path / str(number)
        options = ["trainer.devices=2", f"data_dir={data_dir}", f"hydra.run.dir={run_dir}"]
        job = started(*options)
        wait_for(run_dir / "checkpoints" / "last.ckpt")
        os.kill(rank_of(tmp_path, number), signal.SIGKILL)
        output, _ = job.communicate(timeout=60)
        assert job.returncode == 1
        assert f"Process {number} of 2 ended with SIGKILL" in output
        assert "Traceback" not in output
        assert processes_in(tmp_path) == []
        assert read_checkpoint(run_dir)["images_seen"] > 0


@pytest.mark.slow
def test_processes_that_cannot_reach_each_other_say_so(
    started: Callable[..., subprocess.Popen], trained: Path
):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GLOO_SOCKET_IFNAME", "nowhere0")
        job = started(f"resume={trained}", "trainer.devices=2", "trainer.max_epochs=2")
    output, _ = job.communicate(timeout=120)
    assert job.returncode == 1, output
    assert "The 2 processes could not reach each other: " in output
    assert "nowhere0" in output


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="finds processes in /proc")
def test_ranks_end_with_the_process_that_started_them(
    started: Callable[..., subprocess.Popen], tmp_path: Path, data_dir: Path
):
    job = started("trainer.devices=2", f"data_dir={data_dir}", "hydra.run.dir=run")
    wait_for(tmp_path / "run" / "checkpoints" / "last.ckpt")
    job.kill()
    job.wait()
    until = time.monotonic() + 30
    while processes_in(tmp_path) and time.monotonic() < until:
        time.sleep(0.2)
    assert processes_in(tmp_path) == []


@pytest.mark.slow
def test_an_interrupt_of_two_ranks_saves_once_and_tells_how_to_resume(
    started: Callable[..., subprocess.Popen], tmp_path: Path, data_dir: Path
):
    options = ["trainer.devices=2", f"data_dir={data_dir}"]
    job = started(*options, "hydra.run.dir=run")
    wait_for(tmp_path / "run" / "checkpoints" / "last.ckpt")
    job.send_signal(signal.SIGTERM)
    output, _ = job.communicate(timeout=60)
    assert job.returncode == 128 + signal.SIGTERM
    assert output.count("Stopped by SIGTERM after") == 1
    assert "resume=" in output


@pytest.mark.slow
def test_a_run_that_two_ranks_refuse_leaves_no_directory(
    started: Callable[..., subprocess.Popen], tmp_path: Path, data_dir: Path
):
    options = ["trainer.devices=2", f"data_dir={data_dir}", "hydra.run.dir=run"]
    job = started(*options, "model.lr_g=-1")
    output, _ = job.communicate(timeout=120)
    assert job.returncode == 2, output
    assert "model.lr_g" in output
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_a_run_of_two_ranks_resumed_at_an_epoch_equals_one_that_never_stopped(
    started: Callable[..., subprocess.Popen], tmp_path: Path, data_dir: Path
):
    def train_to_the_end(*arguments: str) -> None:
        job = started(*arguments, "trainer.max_epochs=3")
        output, _ = job.communicate(timeout=120)
        assert job.returncode == 0, output

    options = ["trainer.devices=2", f"data_dir={data_dir}", "callbacks.periodic.every_n_epochs=1"]
    train_to_the_end(*options, "hydra.run.dir=whole")
    # What a run that was killed after its first epoch had saved, and metrics of later ones.
    saved = Path(shutil.copytree("whole", "parts")) / "checkpoints"
    (saved / "epoch_001.ckpt").replace(saved / "last.ckpt")
    train_to_the_end("resume=parts")
    one, two = (read_checkpoint(tmp_path / name)["state_dict"] for name in ("whole", "parts"))
    assert all(one[name].equal(two[name]) for name in one)
    rows = [
        [row | {"speed/images_per_second": ""} for row in read_csv(tmp_path / n / "metrics.csv")]
        for n in ("whole", "parts")
    ]
    assert rows[0] == rows[1]


TORCHRUN = (sys.executable, "-m", "torch.distributed.run")


@pytest.mark.slow
def test_two_machines_of_torchrun_agree_on_one_run_directory(
    started: Callable[..., subprocess.Popen], tmp_path: Path, data_dir: Path
):
    with processes.socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    machines = []
    for number in (0, 1):
        program = [*TORCHRUN, "--nnodes", "2", "--node-rank", str(number), "--nproc-per-node", "1"]
        program += ["--master-addr", "127.0.0.1", "--master-port", str(port)]
        options = [f"data_dir={data_dir}", "trainer.max_epochs=1"]
        machines.append(started(*options, program=tuple(program)))
        time.sleep(1.5)  # a second that would be another directory
    outputs = [machine.communicate(timeout=120)[0] for machine in machines]
    assert [machine.returncode for machine in machines] == [0, 0], outputs
    (run_dir,) = (tmp_path / "runs" / "synthetic").iterdir()
    assert read_checkpoint(run_dir)["images_seen"] == 2 * 32
    assert [output.count("Everything goes to") for output in outputs] == [1, 0]
    assert (run_dir / ".hydra" / "overrides.yaml").is_file()


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="finds processes in /proc")
def test_torchrun_restarts_from_the_last_checkpoint_by_itself(
    started: Callable[..., subprocess.Popen], tmp_path: Path, data_dir: Path
):
    program = (*TORCHRUN, "--standalone", "--nproc-per-node", "2", "--max-restarts", "1")
    job = started(f"data_dir={data_dir}", "trainer.max_epochs=60", program=program)
    until = time.monotonic() + 60
    while not list(tmp_path.glob("runs/*/*/checkpoints/last.ckpt")) and time.monotonic() < until:
        time.sleep(0.05)
    os.kill(rank_of(tmp_path, 1), signal.SIGKILL)
    output, _ = job.communicate(timeout=120)
    assert job.returncode == 0, output
    (run_dir,) = (tmp_path / "runs" / "synthetic").iterdir()
    assert read_checkpoint(run_dir)["images_seen"] == 60 * 64
    steps = [int(row["step"]) for row in read_csv(run_dir / "metrics.csv") if row["loss/d"]]
    assert steps == sorted(set(steps))


MEETING = """
import os, torch, torch.distributed as dist
from facegan.launch.distributed import reconnect
reconnect(torch.device("cpu"))
if not dist.is_initialized():
    dist.init_process_group("gloo")  # what Lightning does
total = torch.ones(())
dist.all_reduce(total)
print("sum", total.item(), flush=True)
os._exit(0)
"""


@pytest.mark.slow
def test_restarted_processes_do_not_look_for_those_before_them(alone: pytest.MonkeyPatch):
    from torch.distributed import TCPStore

    store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)  # torchrun's
    alone.setenv("TORCHELASTIC_RUN_ID", "none")
    alone.setenv("TORCHELASTIC_USE_AGENT_STORE", "True")
    alone.setenv("MASTER_ADDR", "127.0.0.1")
    alone.setenv("MASTER_PORT", str(store.port))
    alone.setenv("WORLD_SIZE", "2")
    for attempt in ("0", "1"):
        alone.setenv("TORCHELASTIC_RESTART_COUNT", attempt)
        processes = []
        for number in ("1", "0"):  # the first comes late: the other must not take an old address
            alone.setenv("RANK", number)
            command = [sys.executable, "-c", MEETING]
            processes.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
            time.sleep(5 if number == "1" else 0)
        try:
            said = [process.communicate(timeout=60)[0] for process in processes]
        finally:
            for process in processes:
                process.kill()
        assert said == ["sum 2.0\n"] * 2


def test_a_restarted_job_keeps_its_identity(alone: pytest.MonkeyPatch):
    from torch.distributed import TCPStore

    store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)  # torchrun's
    given = {"RUN_ID": "none", "USE_AGENT_STORE": "True", "RESTART_COUNT": "0"}
    for name, value in given.items():
        alone.setenv(f"TORCHELASTIC_{name}", value)
    for name, value in {"ADDR": "127.0.0.1", "PORT": str(store.port)}.items():
        alone.setenv(f"MASTER_{name}", value)
    alone.setenv("RANK", "0")
    first = run_name()
    alone.setenv("TORCHELASTIC_RESTART_COUNT", "1")
    alone.setattr(environment, "_start_of_parent", lambda: "a second later")
    assert run_name() == first


@pytest.mark.slow
def test_a_preempted_slurm_job_resumes_when_it_is_requeued(
    tmp_path: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch
):
    job = {"JOB_ID": "4711", "STEP_ID": "0", "JOB_NAME": "facegan", "NTASKS": "2", "NODEID": "0"}
    job |= {"NTASKS_PER_NODE": "2", "STEP_NUM_NODES": "1", "NNODES": "1", "NODELIST": "localhost"}
    for name, value in job.items():
        monkeypatch.setenv(f"SLURM_{name}", value)

    def tasks(*overrides: str) -> list[subprocess.Popen]:
        found = []
        for number in ("0", "1"):
            monkeypatch.setenv("SLURM_PROCID", number)
            monkeypatch.setenv("SLURM_LOCALID", number)
            found.append(train(f"data_dir={data_dir}", *overrides))
        return found

    run_dir = tmp_path / "runs" / "synthetic" / "slurm_4711"
    first = tasks()
    wait_for(run_dir / "checkpoints" / "last.ckpt")
    for task in first:
        task.send_signal(signal.SIGUSR1)
    outputs = [task.communicate(timeout=60)[0] for task in first]
    assert [task.returncode for task in first] == [128 + signal.SIGUSR1] * 2, outputs
    seen = read_checkpoint(run_dir)["images_seen"]
    assert f"Stopped by SIGUSR1 after {seen:,} images" in outputs[0]

    monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
    epochs = seen // 64 + 2
    second = tasks(f"trainer.max_epochs={epochs}")
    outputs = [task.communicate(timeout=120)[0] for task in second]
    assert [task.returncode for task in second] == [0, 0], outputs
    assert read_checkpoint(run_dir)["images_seen"] == epochs * 64
    steps = [int(row["step"]) for row in read_csv(run_dir / "metrics.csv") if row["loss/d"]]
    assert steps == list(range(16, epochs * 64 + 1, 16))  # none lost, none twice
