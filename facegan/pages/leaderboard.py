"""What came out of a sweep: its jobs in order, as a table, a diagram, and their faces."""

import contextlib
import json
import logging
import shlex
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from PIL import Image

from facegan.errors import expect
from facegan.files import write_csv
from facegan.pictures import plots
from facegan.pictures.sheets import captioned, save_png
from facegan.run_dir import RESULT

log = logging.getLogger(__name__)

FACES = 12  # jobs whose faces are shown, from the best on


@dataclass(frozen=True)
class Job:
    """One run of a sweep. ``value`` is ``None`` if it failed, and ``error`` says why."""

    run_dir: Path
    overrides: Sequence[str]
    result: dict[str, Any]

    @property
    def value(self) -> float | None:
        """Its objective."""
        return self.result.get("objective")

    @property
    def error(self) -> str:
        """Why it failed; empty if it did not."""
        return "" if self.value is not None else self.result.get("error", "did not end")


def jobs_in(sweep_dir: Path) -> list[Job]:
    """The jobs of a sweep from the best to the worst, failed ones last.

    Raises InputError if there are none.
    """
    found = []
    numbered = [path for path in sweep_dir.glob("*") if path.name.isdigit()]
    for run_dir in sorted(numbered, key=lambda path: int(path.name)):
        saved = run_dir / ".hydra" / "overrides.yaml"
        if saved.is_file():
            overrides = [str(override) for override in yaml.safe_load(saved.read_text()) or []]
            result = run_dir / RESULT
            content = json.loads(result.read_text()) if result.is_file() else {}
            found.append(Job(run_dir, overrides, content))
    expect(
        len(found) > 0,
        f"There is no sweep in {sweep_dir}: its directory holds one numbered directory per job.",
    )
    sign = -1 if any(job.result.get("mode") == "max" for job in found) else 1
    return sorted(found, key=lambda job: (job.value is None, sign * (job.value or 0.0)))


def write(sweep_dir: Path) -> None:
    """``leaderboard.csv``, ``leaderboard.png`` and ``samples.png``; say which job was the best."""
    jobs = jobs_in(sweep_dir)
    metric = next((job.result["metric"] for job in jobs if "metric" in job.result), "objective")
    common = set.intersection(*(set(job.overrides) for job in jobs))
    varied = {job.run_dir: [o for o in job.overrides if o not in common] for job in jobs}
    rows = []
    for place, job in enumerate(jobs, start=1):
        rows.append(
            {"place": place if not job.error else "", "job": job.run_dir.name, metric: job.value}
            | {key: value for key, _, value in (o.partition("=") for o in varied[job.run_dir])}
            | {name: job.result.get(name) for name in ("seconds", "images_per_second", "epoch")}
            | {"run_dir": str(job.run_dir), "error": job.error}
        )
    write_csv(
        sweep_dir / "leaderboard.csv", list(dict.fromkeys(k for row in rows for k in row)), rows
    )
    titles = {job.run_dir: _title(job, varied[job.run_dir]) for job in jobs}
    ended = [job for job in jobs if not job.error]
    if ended:
        values = [job.value or 0.0 for job in ended]
        chart = plots.bars(metric, [titles[job.run_dir] for job in ended], values)
        save_png(chart, sweep_dir / "leaderboard.png")
    strips = [
        (f"{titles[job.run_dir]}\n{metric} {job.value:.4g}", strip)
        for job in ended[:FACES]
        if (strip := _faces(job.run_dir)) is not None
    ]
    if strips:
        save_png(captioned(strips), sweep_dir / "samples.png")
    _tell(sweep_dir, jobs, metric)


def _of_one_run(overrides: Sequence[str]) -> list[str]:
    """Without what made it a job of a sweep."""
    return [o for o in overrides if not o.startswith(("sweep=", "hydra."))]


def _title(job: Job, varied: Sequence[str]) -> str:
    """Its number and what is its own, in lines that leave room for a bar beside them."""
    words = []
    for override in varied:
        key, _, value = override.lstrip("+").removeprefix("model.").partition("=")
        with contextlib.suppress(ValueError):
            value = f"{float(value):.3g}"
        words.append(f"{key}={value}")
    return "\n".join(textwrap.wrap(f"{job.run_dir.name}: " + " ".join(words), 44))


def _faces(run_dir: Path) -> Image.Image | None:
    """The upper rows of the last grid of samples."""
    grids = sorted((run_dir / "samples").glob("epoch_*.png"))
    if not grids:
        return None
    with Image.open(grids[-1]) as sheet:
        return sheet.convert("RGB").crop((0, 0, sheet.width, sheet.height // 4))


def _tell(sweep_dir: Path, jobs: Sequence[Job], metric: str) -> None:
    failed = [job for job in jobs if job.error]
    lines = [f"{len(jobs)} jobs, {len(failed)} of them failed. Everything is in {sweep_dir}"]
    lines += [f"  job {job.run_dir.name} failed: {job.error}" for job in failed]
    if len(failed) < len(jobs):
        best = jobs[0]
        lines += [
            f"Best: job {best.run_dir.name}, {metric} {best.value:.4g}. Its command was:",
            f"  python -m facegan.train {shlex.join(_of_one_run(best.overrides))}",
        ]
    log.info("\n".join(lines))
