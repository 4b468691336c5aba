"""One verb, everywhere: DVC stage, module, function, Prefect task, test file and report section of a step."""

import ast
import re

import pytest
import yaml

DATA_STAGES = {"sample", "base", "validate", "filter", "split"}
NIGHT_STEPS = {"sft", "dpo", "quantize", "evaluate", "gate", "register"}
FLOW_STEPS = NIGHT_STEPS | {"report"}
VERBS = DATA_STAGES | FLOW_STEPS | {"promote"}


def stages(house) -> dict:
    return yaml.safe_load((house.root / "dvc.yaml").read_text("utf-8"))["stages"]


def commands(stage: dict) -> list[str]:
    """A stage's command lines; `foreach` keeps its stage under `do`."""
    cmd = stage.get("do", stage)["cmd"]
    return [cmd] if isinstance(cmd, str) else list(cmd)


def task_wrappers(tree: ast.Module) -> dict[str, ast.Call]:
    """`name_task = task(…)` assignments of a module, by the name on the left."""
    return {
        node.targets[0].id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and isinstance(node.value, ast.Call)
        and isinstance(node.value.func, ast.Name)
        and node.value.func.id == "task"
    }


def test_the_data_graph_has_the_five_stages_and_no_other(house):
    assert set(stages(house)) == DATA_STAGES


@pytest.mark.parametrize("stage", sorted(DATA_STAGES))
def test_a_stage_runs_the_module_of_its_name(house, stage):
    module = house.verbs[stage]
    dotted = ".".join(module.relative_to(house.root).with_suffix("").parts)
    assert any(re.search(rf"-m {re.escape(dotted)}\b", line) for line in commands(stages(house)[stage])), dotted


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_a_verb_has_one_module_with_a_function_of_its_name(house, verb):
    modules = [p for p in house.sources if p.stem == verb and p.parts[-3] == "tasks" and p.parts[-2] != "adapters"]
    assert len(modules) == 1, f"{verb}: {modules}"
    assert verb in house.functions(modules[0])


def test_every_step_module_has_a_test_file_of_its_name(house):
    for verb, module in house.verbs.items():
        test = house.root / "tests" / "tasks" / module.parent.name / f"test_{verb}.py"
        assert test.is_file(), f"{module.relative_to(house.root)} has no {test.relative_to(house.root)}"


@pytest.mark.parametrize("verb", sorted(FLOW_STEPS))
def test_a_flow_step_has_its_one_line_prefect_task(house, verb):
    assert f"{verb}_task" in task_wrappers(house.tree(house.verbs[verb]))


def test_every_prefect_task_is_named_like_its_function_and_is_not_cached(house):
    for path in house.sources:
        for left, call in task_wrappers(house.tree(path)).items():
            words = {k.arg: k.value for k in call.keywords}
            name, cache = words.get("name"), words.get("cache_policy")
            assert isinstance(call.args[0], ast.Name), path
            assert left == f"{call.args[0].id}_task", path
            assert isinstance(name, ast.Constant), path
            assert name.value == call.args[0].id, path
            assert isinstance(cache, ast.Name), f"{path}: {left} is cached by Prefect"
            assert cache.id == "NO_CACHE", f"{path}: {left} is cached by Prefect"


def test_the_night_runs_the_steps_of_these_names(house):
    from flows.night import step_names
    from tasks.recipe import load_recipe

    steps = step_names(load_recipe(house.root / "recipes" / "assistant.yaml"))
    assert set(steps) == (DATA_STAGES - {"base"}) | NIGHT_STEPS


@pytest.mark.parametrize("verb", sorted((DATA_STAGES - {"base", "sample", "split"}) | NIGHT_STEPS))
def test_the_report_has_a_section_for_the_verb(verb):
    from tasks.contracts import NightReport
    from tasks.report.report import NightEvidence, report

    page = report(NightReport(recipe="assistant", status="failed", fingerprint="", steps=()), NightEvidence())
    assert f'<section id="{verb}">' in page
