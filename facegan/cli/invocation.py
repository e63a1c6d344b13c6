"""A job as Hydra composed it, passed from the parent process to its workers."""

import json
from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Self

import yaml
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from facegan.cli.conf import plain
from facegan.cli.overrides import absolute, parsed
from facegan.cli.resume import ONCE
from facegan.files import replacing

full_error: ContextVar[bool] = ContextVar("full_error", default=False)  # HYDRA_FULL_ERROR=1


@dataclass(frozen=True)
class Invocation:
    """The composed configuration as plain values, and what ``.hydra`` records about the command.

    ``full_error``: whether expected errors keep their traceback.
    """

    config: dict[str, Any]
    overrides: Sequence[str]
    hydra_yaml: str
    config_yaml: str
    job_logging: dict[str, Any]
    full_error: bool = False

    @classmethod
    def of_job(cls, cfg: DictConfig) -> Self:
        """The job that Hydra is running in this process."""
        logging: Any = OmegaConf.to_container(HydraConfig.get().job_logging, resolve=True)
        return cls(
            config=plain(cfg),
            overrides=[str(override) for override in HydraConfig.get().overrides.task],
            hydra_yaml=OmegaConf.to_yaml(HydraConfig.instance().cfg),
            config_yaml=OmegaConf.to_yaml(cfg),
            job_logging=logging,
            full_error=full_error.get(),
        )

    @classmethod
    def loads(cls, text: str) -> Self:
        """The inverse of :meth:`dumps`."""
        return cls(**json.loads(text))

    def dumps(self) -> str:
        """As text for a worker process."""
        return json.dumps(asdict(self))

    def with_devices(self, devices: list[int]) -> Self:
        """The same job on these devices."""
        trainer = {**self.config["trainer"], "devices": devices}
        return replace(self, config={**self.config, "trainer": trainer})

    def save(self) -> None:
        """Write ``.hydra`` of a new run."""
        self._write(list(self.overrides))

    def record(self) -> None:
        """Save the overrides of a resumed run, so that the next resume starts from them."""
        overrides = parsed(self.overrides).items()
        self._write([absolute(o, Path.cwd()) for key, o in overrides if key not in ONCE])

    def _write(self, overrides: list[str]) -> None:
        directory = Path(self.config["run_dir"]) / ".hydra"
        listed = yaml.safe_dump(overrides, allow_unicode=True, width=10_000)
        contents = {"hydra": self.hydra_yaml, "config": self.config_yaml, "overrides": listed}
        for name, content in contents.items():
            with replacing(directory / f"{name}.yaml") as partial:
                partial.write_text(content, encoding="utf-8")
