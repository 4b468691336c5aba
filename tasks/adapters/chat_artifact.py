"""The MLflow artifact that a model is served from: written without loading the model, read back, and asked."""

import hashlib
import logging
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache, partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import mlflow
from mlflow.entities import LoggedModel, LoggedModelOutput
from mlflow.models import Model, ModelSignature
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema
from mlflow.types.schema import Array, Object, Property
from mlflow.utils.file_utils import local_file_uri_to_path

from tasks.contracts import Digest, ModelKind

LIBRARIES = ("mlflow", "torch", "transformers", "peft", "accelerate", "safetensors")
EXAMPLE = {"messages": [{"role": "user", "content": "Hello"}]}
Message = Mapping[str, str]


@dataclass(frozen=True)
class ChatArtifact:
    """What is to be served. `base` is None for a quantized model, and for a base that is a hub model."""

    name: str  # what the model calls itself in its answers
    kind: ModelKind
    digest: Digest  # of the files in `model`
    code: Path
    model: Path
    base: Path | None
    base_name: str
    base_revision: str | None


@dataclass(frozen=True)
class StoredFiles:
    """The same files, read back from the registry."""

    model: Path
    base: Path | None
    base_name: str
    base_revision: str | None


def log_artifact(client: mlflow.MlflowClient, run_id: str, artifact: ChatArtifact, work: Path) -> LoggedModel:
    """Keep the artifact as a model of the run that made it; one that an interrupted call finished is found again.

    The run itself stays finished: the fluent `log_model` would reopen it.
    """
    experiment = client.get_run(run_id).info.experiment_id
    code = hashlib.sha256(artifact.code.read_bytes()).hexdigest()
    for known in client.search_logged_models([experiment], filter_string=f"tags.`pawl.digest` = '{artifact.digest}'"):
        if known.source_run_id == run_id and known.tags.get("pawl.code") == code:
            if known.status == "READY":
                return known
            discard(client, known)
    tags = {"pawl.digest": artifact.digest, "pawl.kind": artifact.kind, "pawl.code": code}
    logged = client.create_logged_model(experiment, artifact.name, run_id, tags, model_type="chat")
    with scratch_folder(work) as scratch:
        write(scratch / "model", artifact, logged)
        client.log_model_artifacts(logged.model_id, str(scratch / "model"))
    client.log_outputs(run_id, [LoggedModelOutput(logged.model_id, step=0)])
    return client.finalize_logged_model(logged.model_id, "READY")


def discard(client: mlflow.MlflowClient, half: LoggedModel) -> None:
    """Remove what an interrupted call left behind."""
    get_artifact_repository(half.artifact_location).delete_artifacts()
    client.delete_logged_model(half.model_id)


def write(target: Path, artifact: ChatArtifact, logged: LoggedModel) -> None:
    """Write the pyfunc folder: models from code, so nothing is pickled; requirements and signature are given, so
    MLflow loads nothing to find them out."""
    files = {"model": str(artifact.model), **({"base": str(artifact.base)} if artifact.base else {})}
    config = {
        "kind": artifact.kind,
        "name": artifact.name,
        "base_name": artifact.base_name,
        "base_revision": artifact.base_revision,
    }
    libraries = LIBRARIES if artifact.kind == "adapter" else (*LIBRARIES, "bitsandbytes")
    logging.getLogger("mlflow.pyfunc").setLevel(logging.WARNING)
    mlflow.pyfunc.save_model(
        str(target),
        python_model=str(artifact.code),
        artifacts=files,
        model_config=config,
        signature=signature(),
        input_example=EXAMPLE,
        pip_requirements=[f"{library}=={version(library).split('+')[0]}" for library in libraries],
        mlflow_model=Model(
            artifact_path=logged.artifact_location,
            run_id=logged.source_run_id,
            model_id=logged.model_id,
            model_uuid=logged.model_id,
        ),
    )


def signature() -> ModelSignature:
    """Chat messages in, a chat completion out; the options stand beside the messages or in `params`."""
    optional = partial(Property, dtype=DataType.string, required=False)
    message = Object([Property("role", DataType.string), Property("content", DataType.string), optional("name")])
    choice = Object(
        [
            Property("index", DataType.long),
            Property("message", Object([Property("role", DataType.string), Property("content", DataType.string)])),
            Property("finish_reason", DataType.string),
        ]
    )
    usage = Object([Property(n, DataType.long) for n in ("prompt_tokens", "completion_tokens", "total_tokens")])
    return ModelSignature(
        inputs=Schema(
            [
                ColSpec(Array(message), "messages"),
                ColSpec(DataType.double, "temperature", required=False),
                ColSpec(DataType.long, "max_tokens", required=False),
                ColSpec(DataType.double, "top_p", required=False),
                ColSpec(Array(DataType.string), "stop", required=False),
                ColSpec(DataType.string, "model", required=False),
                ColSpec(DataType.boolean, "stream", required=False),
            ]
        ),
        outputs=Schema(
            [
                ColSpec(DataType.string, "id"),
                ColSpec(DataType.string, "object"),
                ColSpec(DataType.long, "created"),
                ColSpec(DataType.string, "model"),
                ColSpec(Array(choice), "choices"),
                ColSpec(usage, "usage"),
            ]
        ),
        params=ParamSchema(
            [
                ParamSpec("temperature", DataType.double, 0.0),
                ParamSpec("max_tokens", DataType.long, 256),
                ParamSpec("top_p", DataType.double, 1.0),
                ParamSpec("stop", DataType.string, [], shape=(-1,)),
            ]
        ),
    )


@contextmanager
def fetched(uri: str, work: Path) -> Iterator[StoredFiles]:
    """The artifact's files: where they lie for a local store, else a download that is removed afterwards."""
    if uri.startswith(("file:", "/")):
        yield stored(Path(local_file_uri_to_path(uri)))
        return
    with scratch_folder(work) as scratch:
        yield stored(Path(get_artifact_repository(uri).download_artifacts("", dst_path=str(scratch))))


def kept(uri: str, target: Path) -> StoredFiles:
    """Like `fetched`, but a download stays in `target`, complete or not at all, for the next one who asks."""
    if uri.startswith(("file:", "/")):
        return stored(Path(local_file_uri_to_path(uri)))
    if not target.is_dir():
        with scratch_folder(target.parent) as scratch:
            shutil.move(get_artifact_repository(uri).download_artifacts("", dst_path=str(scratch / "model")), target)
    return stored(target)


@contextmanager
def scratch_folder(inside: Path) -> Iterator[Path]:
    """An empty folder that is removed afterwards, on the disk of `inside`."""
    inside.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=inside) as folder:
        yield Path(folder)


def stored(folder: Path) -> StoredFiles:
    """The parts of an artifact, by its MLmodel file."""
    flavor = Model.load(str(folder)).flavors["python_function"]
    parts = {name: folder / part["path"] for name, part in flavor["artifacts"].items()}
    config = flavor["config"]
    return StoredFiles(parts["model"], parts.get("base"), config["base_name"], config["base_revision"])


@lru_cache(maxsize=1)
def loaded(uri: str) -> Any:
    """The model of a registered version, as MLflow serves it; the last one stays in memory for the next question."""
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    return mlflow.pyfunc.load_model(uri)


def reply(uri: str, messages: Sequence[Message], max_tokens: int) -> str:
    """The greedy answer of a registered version, named as models:/NAME/VERSION."""
    answer: Any = loaded(uri).predict({"messages": list(messages), "max_tokens": max_tokens})
    return str(answer["choices"][0]["message"]["content"])
