"""MLflow's model registry: candidates of every night, and the release models that aliases live on.

`RECIPE-candidates` holds every artifact of every night. `RECIPE`, `RECIPE-nf4` and `RECIPE-int8` hold the sets that
passed the gate. Why they are apart: docs/decisions/0006-registered-models.md.
"""

import logging
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mlflow.entities import Run
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from pydantic import ValidationError

from tasks.adapters.chat_artifact import ChatArtifact, fetched, kept, log_artifact
from tasks.adapters.hub import from_hub
from tasks.adapters.model_names import CANDIDATES, CHAMPION, KINDS, candidates, ledger, release
from tasks.adapters.runs import RECORD_FILE, connect, experiment
from tasks.contracts import Digest, GateVerdict, ModelKind, Record, RegisteredModel, content_digest
from tasks.errors import ConfigError, ModelMissing, NotPermitted
from tasks.settings import Settings, settings

DECISION_FILE = "decision.json"
UNREADABLE = (MlflowException, OSError, KeyError)
ABSENT = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")  # a missing alias is reported as the second

log = logging.getLogger("pawl.registry")


@contextmanager
def permission(name: str) -> Iterator[None]:
    """Writing to the registered model `name`.

    Raises:
        NotPermitted: MLflow does not let this account.
    """
    try:
        yield
    except MlflowException as error:
        if error.error_code != "PERMISSION_DENIED":
            raise
        raise NotPermitted(
            f'MLflow does not let this account write the registered model "{name}". Sign in as one that may '
            "(MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD), or ask for EDIT permission on it."
        ) from error


@dataclass(frozen=True)
class Version:
    """A version as steps pass it around: the record, and what ties it to its run and its files."""

    record: RegisteredModel
    run_id: str | None
    source: str
    description: str

    @property
    def ref(self) -> str:
        return f"{self.record.name}/{self.record.version}"

    @property
    def digest(self) -> Digest:
        return self.record.digest

    @property
    def tags(self) -> dict[str, str]:
        return self.record.tags


class Registry:
    """The registry of the configured MLflow, known to answer."""

    def __init__(self, env: Settings) -> None:
        self.env = env
        self.client = connect(env)

    def names(self, recipe: str | None) -> list[str]:
        """Registered models that Pawl made, releases first, then candidates."""
        owners = {m.name: m.tags.get("pawl.recipe") for m in self.client.search_registered_models(max_results=1000)}
        made = [name for name, owner in owners.items() if owner and recipe in (None, owner)]
        return sorted(made, key=lambda name: (name.endswith(CANDIDATES), name))

    def ensure(self, name: str, recipe: str) -> None:
        """Make the registered model if it is not there; an empty one made by hand is taken over.

        Raises:
            ConfigError: it belongs to another recipe.
        """
        about = f"Every artifact of every night of {recipe}." if name.endswith(CANDIDATES) else f"Releases of {recipe}."
        try:
            owner = self.client.get_registered_model(name).tags.get("pawl.recipe")
        except MlflowException as error:
            if error.error_code not in ABSENT:
                raise
            with permission(name):
                self.client.create_registered_model(name, {"pawl.recipe": recipe}, about)
            return
        if owner is None and not self.search(name):
            with permission(name):
                self.client.set_registered_model_tag(name, "pawl.recipe", recipe)
        elif owner != recipe:
            raise ConfigError(
                f'The registered model "{name}" belongs to {owner or "somebody else"}, and recipe {recipe} needs '
                "that name. Rename the recipe (its name: key), or the registered model in MLflow."
            )

    def aliases(self, name: str) -> dict[str, int]:
        """Alias to version; empty where there is no such registered model."""
        try:
            return {alias: int(v) for alias, v in self.client.get_registered_model(name).aliases.items()}
        except MlflowException as error:
            if error.error_code not in ABSENT:
                raise
            return {}

    def search(self, name: str, condition: str = "") -> list[Version]:
        """Versions of a registered model, newest first, without their aliases: MLflow's search returns none."""
        query = f"name = '{name}'" + (f" AND {condition}" if condition else "")
        return sorted((as_version(v, []) for v in self.pages(query)), key=lambda v: -v.record.version)

    def listing(self, name: str) -> list[RegisteredModel]:
        """Every version of a registered model with its aliases, newest first."""
        by_version: dict[int, list[str]] = {}
        for alias, number in self.aliases(name).items():
            by_version.setdefault(number, []).append(alias)
        found = [as_version(v, by_version.get(int(v.version), [])) for v in self.pages(f"name = '{name}'")]
        return sorted((version.record for version in found), key=lambda record: -record.version)

    def pages(self, query: str) -> Iterator[ModelVersion]:
        token: str | None = None
        while True:
            page = self.client.search_model_versions(query, max_results=1000, page_token=token)
            yield from page
            token = page.token
            if not token:
                return

    def get(self, name: str, version: int) -> Version | None:
        """One version, or None."""
        try:
            found = self.client.get_model_version(name, str(version))
        except MlflowException as error:
            if error.error_code not in ABSENT:
                raise
            return None
        return as_version(found, list(found.aliases))

    def aliased(self, name: str, alias: str) -> Version | None:
        """The version that an alias, spelt exactly so, stands for, or None."""
        number = self.aliases(name).get(alias)
        return None if number is None else self.get(name, number)

    def add_candidate(
        self, recipe: str, run_id: str, artifact: ChatArtifact, tags: Mapping[str, str], description: str
    ) -> Version:
        """Keep an artifact and make it a candidate version, tags included, in one step of the registry."""
        logged = log_artifact(self.client, run_id, artifact, self.env.work)
        name, source = candidates(recipe), f"models:/{logged.model_id}"
        with permission(name):
            made = self.client.create_model_version(
                name, source, run_id, dict(tags), description=description, model_id=logged.model_id
            )
        return as_version(made, [])

    def copy(self, source: Version, name: str, tags: Mapping[str, str]) -> Version:
        """A version of `name` with the same files: what `copy_model_version` does, but with these tags from the start.

        Source: mlflow.store.model_registry.abstract_store.AbstractStore.copy_model_version.
        """
        with permission(name):
            made = self.client.create_model_version(
                name, f"models:/{source.ref}", source.run_id, dict(tags), description=source.description
            )
        return as_version(made, [])

    def tag(self, version: Version, tags: Mapping[str, str]) -> None:
        """Set the tags that differ."""
        name, number = version.record.name, str(version.record.version)
        with permission(name):
            for key, value in tags.items():
                if version.tags.get(key) != value:
                    self.client.set_model_version_tag(name, number, key, value)

    def point(self, name: str, alias: str, version: int | None) -> None:
        """Move an alias, or remove it; nothing is written where it stands there already."""
        now = self.aliases(name).get(alias)
        with permission(name):
            if version is None and now is not None:
                self.client.delete_registered_model_alias(name, alias)
            elif version is not None and now != version:
                self.client.set_registered_model_alias(name, alias, str(version))

    def run(self, run_id: str) -> Run | None:
        """A run that is there and not deleted, or None."""
        try:
            run = self.client.get_run(run_id)
        except MlflowException as error:
            if error.error_code not in ABSENT:
                raise
            return None
        return run if run.info.lifecycle_stage == "active" else None

    def verdict(self, run_id: str) -> GateVerdict | None:
        """The gate's verdict, read from the artifact of its run (never from a tag), or None."""
        run = self.run(run_id)
        try:
            return GateVerdict.model_validate_json(artifact_text(run, RECORD_FILE)) if run else None
        except (ValidationError, *UNREADABLE) as error:
            log.warning("the verdict of run %s cannot be read: %s", run_id, error)
            return None

    def location(self, version: Version) -> str:
        return self.client.get_model_version_download_uri(version.record.name, str(version.record.version))

    def digests(self, version: Version) -> tuple[Digest, Digest | None] | None:
        """Content digests, computed now, of the model and of the base that travels with it; None if unreadable."""
        try:
            with fetched(self.location(version), self.env.work / "artifacts") as files:
                return content_digest(files.model), content_digest(files.base) if files.base else None
        except UNREADABLE as error:
            log.warning("the files of %s cannot be read: %s", version.ref, error)
            return None

    def open_decision(self, recipe: str, decision: str, night: str, record: Record) -> str:
        """A run in the recipe's ledger that states a decision, left RUNNING until `close_decision`.

        A decision on the same set that an interrupted call opened is taken up again.
        """
        for run in self.unfinished_decisions(recipe, decision, night):
            if any(item.path == DECISION_FILE for item in self.client.list_artifacts(run.info.run_id)):
                return run.info.run_id
            self.client.set_terminated(run.info.run_id, "KILLED")
        where = experiment(self.client, self.env, ledger(recipe))
        tags = {"pawl.recipe": recipe, "pawl.decision": decision, "pawl.set": night}
        run_id = self.client.create_run(where, tags=tags, run_name=f"{decision} {night[:12]}").info.run_id
        self.client.log_text(run_id, record.model_dump_json(indent=1), DECISION_FILE)
        return run_id

    def unfinished_decisions(self, recipe: str, decision: str, night: str) -> list[Run]:
        """Entries of the ledger about a set that an interrupted call left open."""
        where = self.client.get_experiment_by_name(ledger(recipe))
        same = f"tags.`pawl.decision` = '{decision}' AND tags.`pawl.set` = '{night}' AND attributes.status = 'RUNNING'"
        return list(self.client.search_runs([where.experiment_id], same)) if where else []

    def close_decision(self, run_id: str) -> None:
        self.client.set_terminated(run_id, "FINISHED")


def artifact_text(run: Run, name: str) -> str:
    """A file of the run itself; `client.download_artifacts` would let the files of its models take its place."""
    store = get_artifact_repository(str(run.info.artifact_uri))
    with tempfile.TemporaryDirectory() as scratch:
        return Path(store.download_artifacts(name, dst_path=scratch)).read_text("utf-8")


def as_version(found: ModelVersion, aliases: list[str]) -> Version:
    """MLflow's version as a record. One that Pawl did not make has no digest and is told by its model's name."""
    tags = dict(found.tags)
    named: ModelKind = next((k for k in KINDS if found.name.endswith(f"-{k}")), "adapter")
    kind = next((k for k in KINDS if k == tags.get("pawl.kind")), named)
    record = RegisteredModel(
        name=found.name,
        version=int(found.version),
        kind=kind,
        aliases=tuple(sorted(aliases)),
        digest=tags.get("pawl.digest") or "unknown",
        tags=tags,
    )
    return Version(record, found.run_id or None, found.source or "", found.description or "")


def champion_of(recipe: str) -> RegisteredModel | None:
    """The adapter in service, or None before the first promotion.

    Raises:
        RegistryUnreachable: MLflow does not answer.
    """
    version = Registry(settings()).aliased(release(recipe, "adapter"), CHAMPION)
    return version.record if version else None


def champion_files(champion: RegisteredModel, base: Path) -> tuple[Path, Path]:
    """Folders of the champion's base and of its adapter.

    Args:
        base: tonight's base; it is the champion's own where both stand for the same commit of a hub model.

    Raises:
        ModelMissing: the version was deleted since.
    """
    registry = Registry(settings())
    version = registry.get(champion.name, champion.version)
    if version is None:
        raise ModelMissing(f"{champion.name}/{champion.version} was deleted. Run  pawl model list .")
    files = kept(registry.location(version), registry.env.work / "champion" / champion.digest)
    if files.base:
        return files.base, files.model
    same = base.name == files.base_revision
    return (base if same else from_hub(files.base_name, files.base_revision)[1]), files.model
