"""Where and how Pawl runs, read from the environment. Nothing here changes a result."""

import os
from functools import lru_cache
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError, computed_field
from pydantic_settings import BaseSettings, SettingsConfigDict

from tasks.errors import ConfigError

Device = Literal["auto", "cpu", "cuda"]


def find_root(start: Path) -> Path:
    """The project folder: the nearest parent of `start` that holds dvc.yaml and params.yaml, else `start`."""
    for folder in (start, *start.parents):
        if (folder / "dvc.yaml").is_file() and (folder / "params.yaml").is_file():
            return folder
    return start


class Settings(BaseSettings):
    """Environment variables `PAWL_*`, and MLflow's and Prefect's own `MLFLOW_TRACKING_URI` and `PREFECT_API_URL`."""

    model_config = SettingsConfigDict(env_prefix="PAWL_", env_ignore_empty=True, extra="ignore")

    root: Path = Field(default_factory=lambda: find_root(Path.cwd()))
    device: Device = "auto"
    threads: int = Field(default_factory=lambda: os.cpu_count() or 1, ge=1)
    scratch: Path | None = None
    mlflow_tracking_uri: str | None = Field(default=None, validation_alias="MLFLOW_TRACKING_URI")
    prefect_api_url: str | None = Field(default=None, validation_alias="PREFECT_API_URL")

    @computed_field
    @property
    def work(self) -> Path:
        """Folder for unfinished work: checkpoints in use, logs, the embedded Prefect's database."""
        return (self.scratch or self.root / ".pawl").resolve()

    @computed_field
    @property
    def mlflow_uri(self) -> str:
        """MLflow's tracking and registry URI; embedded SQLite under mlruns/ unless MLFLOW_TRACKING_URI is set."""
        return self.mlflow_tracking_uri or f"sqlite:///{self.root / 'mlruns' / 'mlflow.db'}"

    @computed_field
    @property
    def embedded_mlflow(self) -> bool:
        return self.mlflow_tracking_uri is None

    def torch_device(self) -> str:
        """`cpu` or `cuda`, with torch's thread count set from `threads`."""
        import torch

        torch.set_num_threads(self.threads)
        if self.device == "auto":
            return "cuda" if torch.cuda.is_available() else "cpu"
        if self.device == "cuda" and not torch.cuda.is_available():
            raise ConfigError("PAWL_DEVICE is cuda, but torch sees no GPU here. Unset PAWL_DEVICE or set it to cpu.")
        return self.device


@lru_cache(maxsize=1)
def settings() -> Settings:
    """The settings of this process, read once."""
    try:
        return Settings()
    except ValidationError as error:
        problems = "\n".join(f"  PAWL_{str(e['loc'][0]).upper()}  {e['msg']}" for e in error.errors())
        raise ConfigError(f"environment: {error.error_count()} problem(s)\n{problems}") from error


def quiet_libraries(env: Settings) -> None:
    """Set what the libraries read from the environment at import: no telemetry, our folders, no stray banners."""
    defaults = {
        "DVC_NO_ANALYTICS": "1",
        "GX_ANALYTICS_ENABLED": "false",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
        "OMP_WAIT_POLICY": "PASSIVE",  # spinning threads starve one another where cores are shared
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
        "MLFLOW_CONFIGURE_LOGGING": "false",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_HOME": str(env.work / "prefect"),
        "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
        "TOKENIZERS_PARALLELISM": "false",
        "TQDM_DISABLE": "1",
        "TRANSFORMERS_VERBOSITY": "error",
        "DATASETS_VERBOSITY": "error",
    }
    for name, value in defaults.items():
        os.environ.setdefault(name, value)
