"""Put an evaluation set to a model, through lm-evaluation-harness, and keep every answer."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks.contracts import Sample
from tasks.errors import EvaluationFailed
from tasks.evaluate.models import ModelFiles, load_model
from tasks.evaluate.suite import ITEMS, check_items
from tasks.recipe import Evaluate

if TYPE_CHECKING:
    from lm_eval.api.task import Task
    from lm_eval.tasks.manager import TaskDict


def evaluate(model: ModelFiles, suite: Path, data: Path, config: Evaluate, *, device: str) -> tuple[Sample, ...]:
    """Ask a model every item of an evaluation set and compare its answers.

    Args:
        suite: folder with the harness's task YAML; `config.suite` names the task.
        data: folder with test.jsonl, one item a line: id, prompt (messages), answer, task, lang.
        device: "cpu" or "cuda".

    Returns:
        One sample an item, in the file's order.

    Raises:
        EvaluationFailed: no such suite, an unusable set, prompts too long for the model, logits that are not finite.
    Source: Biderman et al. 2024 (lm-evaluation-harness).
    """
    import lm_eval

    from tasks.evaluate.generation import GreedyChat

    quiet_chatter()
    count = check_items(data / ITEMS)
    tasks = load_tasks(suite, data / ITEMS, config)
    asked = GreedyChat(*load_model(model, device), config.batch_size)
    # lm_eval.evaluate, not simple_evaluate: the same evaluation without its survey of the machine, 1.5 s a model.
    results = lm_eval.evaluate(lm=asked, task_dict=tasks, apply_chat_template=True, bootstrap_iters=0, log_samples=True)
    samples = [sample(tasks["tasks"][name], entry) for name in results["samples"] for entry in results["samples"][name]]
    if len(samples) != count:
        raise EvaluationFailed(
            f"{data / ITEMS}: {count} items, but {len(samples)} answers came back from the suite {config.suite}. "
            f"Look for a limit or a filter in {suite}."
        )
    return tuple(samples)


def load_tasks(suite: Path, items: Path, config: Evaluate) -> TaskDict:
    """The harness's tasks for `config.suite`, reading `items`.

    Raises:
        EvaluationFailed: the suite is not in the folder.
    """
    from lm_eval.tasks import TaskManager

    manager = TaskManager(include_path=suite.resolve(), include_defaults=False, metadata={"file": str(items.resolve())})
    if config.suite not in manager.all_tasks:
        have = ", ".join(manager.all_tasks) or "none"
        raise EvaluationFailed(
            f"{suite}: no suite {config.suite} (have: {have}). "
            f"Set evaluate.suite in the recipe, or add {config.suite}.yaml."
        )
    tasks = manager.load([config.suite])
    for loaded in tasks["tasks"].values():
        loaded.set_config("generation_kwargs", {"max_gen_toks": config.max_new_tokens}, update=True)
    return tasks


def sample(asked: Task, entry: dict[str, Any]) -> Sample:
    """One of the harness's logged samples as a record."""
    item = entry["doc"]
    return Sample(
        id=item["id"],
        task=item["task"],
        lang=item["lang"],
        prompt=asked.doc_to_text(item),
        answer=item["answer"],
        output=entry["filtered_resps"][0],
        correct=bool(entry["exact_match"]),
    )


def quiet_chatter() -> None:
    """Silence warnings that say nothing about an evaluation: the harness's remarks on a model that it was given
    loaded, and bitsandbytes' line for every int8 layer of every forward."""
    for name in ("lm_eval", "bitsandbytes.autograd._functions", "bitsandbytes.backends.cpu.ops"):
        logging.getLogger(name).setLevel(logging.ERROR)


evaluate_task = task(evaluate, name="evaluate", cache_policy=NO_CACHE)
