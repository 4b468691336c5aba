"""Data stages of dvc.yaml as Prefect tasks: one task a stage, named by its verb."""

from collections.abc import Callable
from pathlib import Path

from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks.adapters.dvc import reproduce

STAGES = {verb: task(reproduce, name=verb, cache_policy=NO_CACHE) for verb in ("sample", "validate", "filter", "split")}


def stage_task(verb: str, stage: str) -> Callable[[Path, str], bool]:
    """The Prefect task of a verb, its runs named by the stage, such as `validate@demos`."""
    return STAGES[verb].with_options(task_run_name=stage)
