"""The leaderboard of a sweep: its jobs from best to worst as a table, a chart and their faces."""

import contextlib
import json
import logging
import shlex
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml
from PIL import Image

from facegan.errors import InputError
from facegan.files import write_csv
from facegan.pictures import plots
from facegan.pictures.sheets import captioned, save_png
from facegan.run_dir import RESULT

log = logging.getLogger(__name__)

SHOWN_JOBS = 12  # in samples.png, from the best on
TITLE_WIDTH = 44  # characters per line, which leaves room for a bar beside them


@dataclass(frozen=True)
class SweepJob:
    """One run of a sweep.

    Attributes:
        result: content of its ``result.json``.
        varied: the overrides that not all jobs share.
    """

    run_dir: Path
    overrides: Sequence[str]
    result: dict[str, Any]
    varied: Sequence[str] = ()

    @property
    def value(self) -> float | None:
        """Its objective; ``None`` if it failed."""
        return self.result.get("objective")

    @property
    def error(self) -> str:
        """Why it failed; empty if it did not."""
        return "" if self.value is not None else self.result.get("error", "did not end")

    @property
    def title(self) -> str:
        """Its number and varied overrides, in short lines."""
        words = []
        for override in self.varied:
            key, _, value = override.lstrip("+").removeprefix("model.").partition("=")
            with contextlib.suppress(ValueError):
                value = f"{float(value):.3g}"
            words.append(f"{key}={value}")
        return "\n".join(textwrap.wrap(f"{self.run_dir.name}: " + " ".join(words), TITLE_WIDTH))


@dataclass(frozen=True)
class Leaderboard:
    """The jobs of a sweep from best to worst by ``metric``, failed ones last."""

    jobs: Sequence[SweepJob]
    metric: str

    @property
    def finished(self) -> list[SweepJob]:
        """The jobs that did not fail."""
        return [job for job in self.jobs if not job.error]

    def rows(self) -> list[dict[str, Any]]:
        """A table row per job; the columns of varied overrides are named after their keys."""
        rows = []
        for place, job in enumerate(self.jobs, start=1):
            row: dict[str, Any] = {"place": "" if job.error else place}
            row |= {"job": job.run_dir.name, self.metric: job.value}
            row |= {key: value for key, _, value in (item.partition("=") for item in job.varied)}
            for name in ("seconds", "images_per_second", "epoch"):
                row[name] = job.result.get(name)
            rows.append(row | {"run_dir": str(job.run_dir), "error": job.error})
        return rows

    def chart(self) -> Image.Image:
        """A bar per finished job."""
        titles = [job.title for job in self.finished]
        return plots.bars(self.metric, titles, [job.value or 0.0 for job in self.finished])

    def faces(self) -> Image.Image | None:
        """A strip of the last samples of each of the best jobs; ``None`` if they have none."""
        strips = []
        for job in self.finished[:SHOWN_JOBS]:
            strip = last_samples(job.run_dir)
            if strip is not None:
                strips.append((f"{job.title}\n{self.metric} {job.value:.4g}", strip))
        return captioned(strips) if strips else None

    def summary(self) -> str:
        """How many jobs failed and why, and the command of the best one."""
        failed = [job for job in self.jobs if job.error]
        lines = [f"{len(self.jobs)} jobs, {len(failed)} of them failed."]
        lines += [f"  job {job.run_dir.name} failed: {job.error}" for job in failed]
        if self.finished:
            best = self.jobs[0]
            command = [o for o in best.overrides if not o.startswith(("sweep=", "hydra."))]
            lines += [
                f"Best: job {best.run_dir.name}, {self.metric} {best.value:.4g}. Its command was:",
                f"  python -m facegan.train {shlex.join(command)}",
            ]
        return "\n".join(lines)


def read_leaderboard(sweep_dir: Path) -> Leaderboard:
    """The leaderboard of a sweep's directory, which holds one numbered directory per job.

    Raises InputError if there is no job in it.
    """
    numbered = [path for path in sweep_dir.glob("*") if path.name.isdigit()]
    found = [_read_job(path) for path in sorted(numbered, key=lambda path: int(path.name))]
    jobs = [job for job in found if job is not None]
    if not jobs:
        raise InputError(
            f"There is no sweep in {sweep_dir}: its directory holds one numbered directory per job."
        )
    sign = -1 if any(job.result.get("mode") == "max" for job in jobs) else 1
    jobs.sort(key=lambda job: (job.value is None, sign * (job.value or 0.0)))
    metric = next((job.result["metric"] for job in jobs if "metric" in job.result), "objective")
    common = set.intersection(*(set(job.overrides) for job in jobs))
    varied = [[o for o in job.overrides if o not in common] for job in jobs]
    jobs = [replace(job, varied=own) for job, own in zip(jobs, varied, strict=True)]
    return Leaderboard(jobs, metric)


def write_leaderboard(sweep_dir: Path) -> Leaderboard:
    """Write ``leaderboard.csv``, ``leaderboard.png`` and ``samples.png`` into ``sweep_dir``.

    Logs which job was the best. Raises InputError if there is no job in it.
    """
    board = read_leaderboard(sweep_dir)
    rows = board.rows()
    columns = list(dict.fromkeys(column for row in rows for column in row))
    write_csv(sweep_dir / "leaderboard.csv", columns, rows)
    if board.finished:
        save_png(board.chart(), sweep_dir / "leaderboard.png")
    faces = board.faces()
    if faces is not None:
        save_png(faces, sweep_dir / "samples.png")
    log.info("%s\nEverything is in %s", board.summary(), sweep_dir)
    return board


def last_samples(run_dir: Path) -> Image.Image | None:
    """The upper quarter of the grid of samples after the last epoch; ``None`` if there is none."""
    grids = [p for p in (run_dir / "samples").glob("epoch_*.png") if p.stem[6:].isdigit()]
    if not grids:
        return None
    with Image.open(max(grids, key=lambda path: int(path.stem[6:]))) as sheet:
        return sheet.convert("RGB").crop((0, 0, sheet.width, sheet.height // 4))


def _read_job(run_dir: Path) -> SweepJob | None:
    saved = run_dir / ".hydra" / "overrides.yaml"
    if not saved.is_file():
        return None
    overrides = [str(item) for item in yaml.safe_load(saved.read_text(encoding="utf-8")) or []]
    result = run_dir / RESULT
    content = json.loads(result.read_text(encoding="utf-8")) if result.is_file() else {}
    return SweepJob(run_dir, overrides, content)
