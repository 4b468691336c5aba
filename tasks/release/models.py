"""What is in the registry, as the command line lists, shows and asks it."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tasks.adapters.model_names import KINDS, candidates, release
from tasks.contracts import GateVerdict, Record, RegisteredModel
from tasks.errors import ModelMissing
from tasks.settings import settings

if TYPE_CHECKING:
    from tasks.adapters.registry import Registry, Version

REFERENCE = re.compile(r"(?:models:/)?(?P<name>[^@/]+)(?:@(?P<alias>[^@/]+)|/(?P<version>\d+))")
MD5 = "pawl.dataset_md5."


class ModelDetails(Record):
    """A version with the way back to what made it."""

    schema_version: int = 1
    model: RegisteredModel
    run_id: str | None
    run_name: str | None  # None: the version has no run, or the run is gone
    source: str
    description: str
    git_commit: str | None
    dataset_md5: dict[str, str]
    verdict: GateVerdict | None


def list_models(recipe: str | None = None, limit: int | None = None) -> list[RegisteredModel]:
    """Every version, releases first, then candidates, newest first within a registered model.

    Args:
        recipe: only this recipe's.
        limit: at most so many of each registered model.

    Raises:
        RegistryUnreachable: MLflow does not answer.
    """
    from tasks.adapters.registry import Registry

    registry = Registry(settings())
    return [record for name in registry.names(recipe) for record in registry.listing(name)[:limit]]


def list_releases(recipe: str) -> list[RegisteredModel]:
    """The recipe's release versions: what passed a gate.

    Raises:
        ModelMissing: no night of this recipe passed yet, or there is no such recipe.
    """
    from tasks.adapters.registry import Registry

    registry = Registry(settings())
    found = [record for kind in KINDS for record in registry.listing(release(recipe, kind))]
    if not found:
        known = ", ".join(registry.names(None)) or "none"
        raise ModelMissing(f"No release of {recipe} yet (registered models: {known}). Run  pawl nightly .")
    return found


def current(models: Sequence[RegisteredModel]) -> tuple[RegisteredModel, ...]:
    """Versions as they are now, aliases included; those that were deleted since are left out."""
    from tasks.adapters.registry import Registry

    registry = Registry(settings())
    found = [registry.get(model.name, model.version) for model in models]
    return tuple(version.record for version in found if version)


def resolve(reference: str) -> RegisteredModel:
    """The version that "NAME@ALIAS" or "NAME/VERSION" means; "models:/" may stand before it.

    Raises:
        ModelMissing: naming what there is.
    """
    from tasks.adapters.registry import Registry

    return find(Registry(settings()), reference).record


def show(reference: str) -> ModelDetails:
    """A version with its run, data, commit and verdict; errors as in `resolve`."""
    from tasks.adapters.registry import Registry

    registry = Registry(settings())
    version = find(registry, reference)
    tags = version.tags
    run = registry.run(version.run_id) if version.run_id else None
    return ModelDetails(
        model=version.record,
        run_id=version.run_id,
        run_name=run.info.run_name if run else None,
        source=version.source,
        description=version.description,
        git_commit=tags.get("pawl.git_commit"),
        dataset_md5={k.removeprefix(MD5): v for k, v in sorted(tags.items()) if k.startswith(MD5)},
        verdict=registry.verdict(tags["pawl.gate_run_id"]) if "pawl.gate_run_id" in tags else None,
    )


def chat(reference: str, prompt: str, earlier: Sequence[dict[str, str]] = (), max_tokens: int = 256) -> str:
    """Ask a registered model, loaded as MLflow serves it.

    Args:
        earlier: the conversation so far, as {"role", "content"} mappings.

    Raises:
        ModelMissing: no such version.
    """
    from tasks.adapters.chat_artifact import reply

    model = resolve(reference)
    messages = [*earlier, {"role": "user", "content": prompt}]
    return reply(f"models:/{model.name}/{model.version}", messages, max_tokens)


def find(registry: "Registry", reference: str) -> "Version":
    """The version, or an error that says what could have been meant."""
    parts = REFERENCE.fullmatch(reference.strip())
    if parts is None:
        raise ModelMissing(f'"{reference}" names no version: write NAME@ALIAS or NAME/VERSION. See  pawl model list .')
    name, alias, number = parts["name"], parts["alias"], parts["version"]
    found = registry.aliased(name, alias) if alias else registry.get(name, int(number))
    if found:
        return found
    known = registry.names(None)
    if name not in known:
        there = f"there are: {', '.join(known)}" if known else "there are none; a night makes the first"
        raise ModelMissing(f"No registered model {name} ({there}). See  pawl model list .")
    aliases = ", ".join(f"{a} (version {v})" for a, v in sorted(registry.aliases(name).items())) or "none"
    versions = [v.record.version for v in registry.search(name)]
    spread = f"{versions[-1]} to {versions[0]}" if versions else "none"
    raise ModelMissing(
        f"{name} has no {f'alias {alias}' if alias else f'version {number}'} (aliases: {aliases}; versions: {spread}). "
        f"{hint(name, alias)}"
    )


def hint(name: str, alias: str | None) -> str:
    """What to do about an alias that is not there."""
    if alias and name.endswith(candidates("")):
        return "Candidates have no aliases; name a version."
    if alias == "champion":
        return f'Promote one:  pawl release promote {name} --reason "…"'
    return f"See  pawl release list {name} ."
