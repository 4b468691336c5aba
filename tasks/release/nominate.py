"""A set that passed the gate is copied to the release models and becomes the challenger."""

from typing import Literal

from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks.adapters.model_names import CHALLENGER
from tasks.contracts import Fingerprint, Record, RegisteredModel
from tasks.errors import NotPermitted, ReleaseRefused
from tasks.release.sets import complete_sets, copy_set, point_all, records
from tasks.settings import settings


class Nomination(Record):
    """How a nomination went. `refused` fails no night: MLflow says that this account may not write release models."""

    schema_version: Literal[1] = 1
    recipe: str
    night: Fingerprint
    status: Literal["nominated", "refused"]
    models: tuple[RegisteredModel, ...]  # the release versions, the adapter first
    note: str = ""


def nominate(recipe: str, night: Fingerprint) -> Nomination:
    """Copy a night's set to `RECIPE`, `RECIPE-nf4`, … (no bytes move) and point `challenger` at it on each.

    Every kind is copied before any alias moves, and the adapter's alias moves last; the same call again completes
    what an interrupted one began.

    Raises:
        ReleaseRefused: the set is not complete, or its gate did not pass.
        ConfigError: a release model's name belongs to another recipe.
        RegistryUnreachable: MLflow does not answer.
    """
    from tasks.adapters.registry import Registry

    registry = Registry(settings())
    found = complete_sets(registry, recipe, night)
    if not found:
        raise ReleaseRefused(
            f"{recipe} has no complete set of night {night[:12]}. Run  pawl nightly : it completes the registration."
        )
    verdict = registry.verdict(found[0].gate_run_id)
    if verdict is None or not verdict.passed:
        said = "cannot be read" if verdict is None else "is a rejection"
        raise ReleaseRefused(
            f"{recipe}, night {night[:12]}: the verdict of gate run {found[0].gate_run_id} {said}. "
            "The challenger stays. See  pawl run show ."
        )
    try:
        copies = copy_set(registry, recipe, found[0])
        point_all(registry, recipe, CHALLENGER, copies)
    except NotPermitted:
        note = (
            f'This account may not write the registered model "{recipe}", so the challenger stays as it is. '
            f"The release account nominates and promotes the set:  pawl release promote {recipe} --reason …"
        )
        return Nomination(recipe=recipe, night=night, status="refused", models=(), note=note)
    return Nomination(recipe=recipe, night=night, status="nominated", models=records(registry, copies))


nominate_task = task(nominate, name="nominate", cache_policy=NO_CACHE)
