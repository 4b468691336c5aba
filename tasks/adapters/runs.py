"""MLflow runs: a finished one is the result of its fingerprint, an unfinished one holds the checkpoint."""

import json
import logging
import shutil
import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, TypeVar

import mlflow
import requests
from mlflow.entities import Dataset as MlflowDataset
from mlflow.entities import DatasetInput, InputTag, Metric, Run, ViewType
from mlflow.exceptions import MlflowException
from mlflow.store.artifact.artifact_repo import ArtifactRepository
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from pydantic import JsonValue, ValidationError
from sqlalchemy.exc import SQLAlchemyError

from tasks.contracts import DatasetVersion, Fingerprint, Record
from tasks.errors import RegistryUnreachable
from tasks.settings import Settings

AnyRecord = TypeVar("AnyRecord", bound=Record)
RECORD_FILE = "record.json"
MODEL_FOLDER = "model"
CHECKPOINTS = "checkpoints"
COMPLETE = "complete.json"
UNFINISHED = ("RUNNING", "FAILED", "KILLED", "SCHEDULED")

log = logging.getLogger("pawl.runs")


class Runs:
    """The runs of one recipe's experiment."""

    def __init__(self, env: Settings, recipe: str) -> None:
        self.client = connect(env)
        self.env = env
        self.name = recipe

    def experiments(self) -> list[str]:
        """The id of the recipe's experiment; none before its first run."""
        found = self.client.get_experiment_by_name(self.name)
        return [found.experiment_id] if found else []

    def find(self, fingerprint: Fingerprint, statuses: Sequence[str]) -> Run | None:
        """The newest run of this fingerprint in one of the statuses."""
        found = self.client.search_runs(
            self.experiments(),
            filter_string=f"tags.`pawl.fingerprint` = '{fingerprint}'",
            run_view_type=ViewType.ACTIVE_ONLY,
            order_by=["attributes.start_time DESC"],
        )
        return next((run for run in found if run.info.status in statuses), None)

    def nights(self, statuses: Sequence[str]) -> list[Run]:
        """Runs of whole nights in one of the statuses, newest first."""
        return [run for run in night_runs(self.client, self.experiments()) if run.info.status in statuses]

    def finished(self, fingerprint: Fingerprint, record: type[AnyRecord]) -> AnyRecord | None:
        """The result of an earlier run of the same fingerprint, or None; a record of another schema is not reused."""
        run = self.find(fingerprint, ["FINISHED"])
        return self.read(run, record, RECORD_FILE) if run else None

    def read(self, run: Run, record: type[AnyRecord], name: str) -> AnyRecord | None:
        """A record of a run, or None when it is gone or of another schema, which is said."""
        if not self.has(run.info.run_id, name):
            return None
        try:
            return self.record(run.info.run_id, record, name)
        except ValidationError:
            log.warning("run %s holds a %s of another schema; it is made again", run.info.run_id, record.__name__)
            return None

    def record(self, run_id: str, record: type[AnyRecord], name: str = RECORD_FILE) -> AnyRecord:
        """Read a record from a run's artifacts."""
        return record.model_validate_json(self.files(run_id, name).read_text("utf-8"))

    def files(self, run_id: str, name: str = MODEL_FOLDER) -> Path:
        """Local path of an artifact of a run: where it lies for a local store, else a download."""
        return Path(self.store(run_id).download_artifacts(name))

    def store(self, run_id: str) -> ArtifactRepository:
        """Where a run's own artifacts lie."""
        return get_artifact_repository(self.client.get_run(run_id).info.artifact_uri)

    def has(self, run_id: str, name: str) -> bool:
        return any(item.path == name for item in self.client.list_artifacts(run_id))

    def curves(self, run_id: str) -> dict[str, list[tuple[int, float]]]:
        """Every metric of a run as (step, value) points in order of steps."""
        names = self.client.get_run(run_id).data.metrics
        return {
            name: sorted((m.step, m.value) for m in self.client.get_metric_history(run_id, name))
            for name in sorted(names)
        }

    @contextmanager
    def open(self, step: str, fingerprint: Fingerprint, details: "Details", force: bool = False) -> Iterator["StepRun"]:
        """Continue the unfinished run of this fingerprint, or start one.

        The body stores what it made; leaving it normally marks the run FINISHED, the last thing written. Ctrl-C leaves
        the run KILLED and an error leaves it FAILED, both with their checkpoints.
        """
        unfinished = None if force else self.find(fingerprint, UNFINISHED)
        run_id = unfinished.info.run_id if unfinished else self.create(step, fingerprint, details)
        folder = self.env.work / "steps" / run_id
        folder.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(folder / "out", ignore_errors=True)
        run = StepRun(self, run_id, folder)
        if unfinished:
            self.client.update_run(run_id, status="RUNNING")
            run.restore_checkpoint()
            run = replace(run, resumed=any(folder.glob("checkpoint-*")))
        try:
            yield run
        except KeyboardInterrupt:
            self.end(run_id, "KILLED")
            raise
        except Exception:
            self.end(run_id, "FAILED")
            raise
        self.client.set_terminated(run_id, "FINISHED")
        shutil.rmtree(folder)
        run.drop_checkpoints(keep="")

    def end(self, run_id: str, status: Literal["KILLED", "FAILED"]) -> None:
        """Mark a run as ended early; when the store is what failed, it stays RUNNING and is resumed all the same."""
        with best_effort(f"marking run {run_id} as {status}"):
            self.client.set_terminated(run_id, status)

    def create(self, step: str, fingerprint: Fingerprint, details: "Details") -> str:
        tags = {"pawl.step": step, "pawl.fingerprint": fingerprint, **details.tags}
        where = experiment(self.client, self.env, self.name)
        run_id = self.client.create_run(where, tags=tags, run_name=details.name).info.run_id
        for name, value in flat(details.config):
            self.client.log_param(run_id, name, value)
        if details.datasets:
            self.client.log_inputs(run_id, [dataset_input(d) for d in details.datasets])
        return run_id


@dataclass(frozen=True)
class Details:
    """What a person sees of a run in MLflow beside its fingerprint."""

    name: str
    config: JsonValue
    tags: Mapping[str, str]
    datasets: Sequence[DatasetVersion] = ()


@dataclass(frozen=True)
class StepRun:
    """An open run. `folder` is scratch: restored checkpoints lie in it, and what the step makes goes to `out`."""

    runs: Runs
    id: str
    folder: Path
    resumed: bool = False

    @property
    def out(self) -> Path:
        return self.folder / "out"

    def log(self, metrics: Mapping[str, float], step: int = 0) -> None:
        """Write metrics at a step, visible in MLflow at once."""
        stamp = mlflow.utils.time.get_current_time_millis()
        points = [Metric(name, float(value), stamp, step) for name, value in metrics.items()]
        with uninterrupted():
            self.runs.client.log_batch(self.id, metrics=points)

    def keep(self, checkpoint: Path) -> None:
        """Copy a checkpoint to the run's artifacts and drop older ones; its marker file is written last."""
        target = f"{CHECKPOINTS}/{checkpoint.name}"
        with uninterrupted():
            self.runs.client.log_artifacts(self.id, str(checkpoint), target)
            self.runs.client.log_dict(self.id, {"checkpoint": checkpoint.name}, f"{CHECKPOINTS}/{COMPLETE}")
            self.drop_checkpoints(keep=checkpoint.name)

    def drop_checkpoints(self, keep: str) -> None:
        """Delete the run's checkpoints in the artifact store, save the one named `keep` and its marker."""
        store = self.runs.store(self.id)
        for item in self.runs.client.list_artifacts(self.id, CHECKPOINTS):
            if not keep or Path(item.path).name not in (keep, COMPLETE):
                store.delete_artifacts(item.path)

    def restore_checkpoint(self) -> None:
        """Fetch the newest complete checkpoint, unless the scratch folder still has it; what lies there may be torn."""
        if not self.runs.has(self.id, CHECKPOINTS):
            return
        marker = self.runs.files(self.id, CHECKPOINTS) / COMPLETE
        if marker.is_file():
            name = json.loads(marker.read_text("utf-8"))["checkpoint"]
            if not (self.folder / name).exists():
                aside = self.folder / "restoring"
                shutil.rmtree(aside, ignore_errors=True)
                shutil.copytree(marker.parent / name, aside).rename(self.folder / name)

    def store(self, record: Record, files: Path | None = None) -> None:
        """Keep what the step made: its files first, then the record that says what they are."""
        if files is not None:
            self.runs.client.log_artifacts(self.id, str(files), MODEL_FOLDER)
        self.store_text(RECORD_FILE, record.model_dump_json(indent=1))

    def store_text(self, name: str, text: str) -> None:
        self.runs.client.log_text(self.id, text, name)


@contextmanager
def best_effort(what: str) -> Iterator[None]:
    """For what is written about a failure: the store may be what failed, and the failure itself must be heard."""
    try:
        yield
    except (MlflowException, RegistryUnreachable, requests.RequestException, OSError) as error:
        log.debug("%s: %s", what, error)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Ctrl-C waits until the body is through: a write that is torn in the middle leaves SQLite locked."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    waiting: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: waiting.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if waiting:
        raise KeyboardInterrupt


def night_runs(client: mlflow.MlflowClient, experiments: Sequence[str], limit: int = 1000) -> list[Run]:
    """Runs of whole nights, newest first."""
    return client.search_runs(
        list(experiments),
        filter_string="tags.`pawl.step` = 'nightly'",
        max_results=limit,
        order_by=["attributes.start_time DESC"],
    )


def connect(env: Settings) -> mlflow.MlflowClient:
    """A client of the configured store, known to answer.

    Raises:
        RegistryUnreachable: the server does not answer, or the database cannot be opened.
    """
    uri = env.mlflow_uri
    try:
        if uri.startswith("http"):
            requests.get(f"{uri.rstrip('/')}/health", timeout=5).raise_for_status()
        else:
            (env.root / "mlruns").mkdir(exist_ok=True)
        client = mlflow.MlflowClient(uri, uri)
        client.search_experiments(max_results=1)
    except (MlflowException, SQLAlchemyError, requests.RequestException, OSError) as error:
        raise RegistryUnreachable(
            f"MLflow at {uri} does not answer ({first_line(error)}). Start it or correct MLFLOW_TRACKING_URI, "
            "then run the same command again: finished steps are reused. Run  pawl doctor  for details."
        ) from error
    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(uri)
    return client


def experiment(client: mlflow.MlflowClient, env: Settings, name: str) -> str:
    """Id of the experiment, made on first use; embedded stores keep artifacts under mlruns/."""
    found = client.get_experiment_by_name(name)
    if found:
        return found.experiment_id
    location = (env.root / "mlruns" / "artifacts" / name).as_uri() if env.embedded_mlflow else None
    return client.create_experiment(name, artifact_location=location)


def dataset_input(version: DatasetVersion) -> DatasetInput:
    """A dataset version as MLflow's own run input, so that `dataset.digest = '…'` finds what trained on it."""
    dataset = MlflowDataset(
        name=version.name,
        digest=version.md5,
        source_type="dvc",
        source=json.dumps({"path": f"data/clean/{version.name}", "source_md5": version.source_md5}),
    )
    return DatasetInput(dataset, [InputTag("mlflow.data.context", version.kind)])


def flat(config: JsonValue, prefix: str = "") -> list[tuple[str, str]]:
    """Nested config as MLflow params: ("lora.r", "16")."""
    if isinstance(config, dict):
        return [pair for key, value in config.items() for pair in flat(value, f"{prefix}.{key}" if prefix else key)]
    return [(prefix or "value", str(config))]


def first_line(error: BaseException) -> str:
    """The last link of an error's chain in one line: library errors put their cause at the end."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
