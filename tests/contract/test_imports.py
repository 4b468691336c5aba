"""What may be imported where, beyond what import-linter can say (its contracts are in pyproject.toml)."""

import ast
import json
import subprocess
import sys

import pytest

DATA_STAGES = ("sample", "base", "validate", "filter", "split")
HEAVY = (
    "bitsandbytes", "datasets", "dvc", "great_expectations", "lm_eval", "matplotlib",
    "mlflow", "pandas", "peft", "polars", "prefect", "torch", "transformers", "trl",
)  # fmt: skip
PREFECT_IN_STEPS = {"prefect.task", "prefect.cache_policies.NO_CACHE"}


def imports(tree: ast.Module) -> set[str]:
    """Dotted names that a module imports, wherever in the code."""
    names = {a.name for node in ast.walk(tree) if isinstance(node, ast.Import) for a in node.names}
    froms = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module]
    return names | {f"{node.module}.{a.name}" for node in froms for a in node.names}


def test_steps_take_nothing_from_prefect_but_the_wrapper(house):
    steps = [p for p in house.sources if p.is_relative_to(house.root / "tasks") and p.parent.name != "adapters"]
    for path in steps:
        used = {name for name in imports(house.tree(path)) if name.split(".")[0] == "prefect"}
        assert used <= PREFECT_IN_STEPS, f"{path.relative_to(house.root)}: {used - PREFECT_IN_STEPS}"


@pytest.mark.parametrize("stage", DATA_STAGES)
def test_what_dvc_runs_does_not_need_prefect(house, stage):
    assert not [name for name in imports(house.tree(house.verbs[stage])) if name.split(".")[0] == "prefect"]


@pytest.mark.parametrize("words", [[], ["nightly"], ["run"], ["model"], ["release"], ["recipe"], ["doctor"]])
def test_help_loads_no_heavy_library(house, words):
    code = f"""
import json, sys
from cli.main import main
sys.argv = ["pawl", *{words!r}, "--help"]
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
print(json.dumps(sorted({set(HEAVY)!r} & set(sys.modules))), file=sys.stderr)
"""
    run = subprocess.run([sys.executable, "-c", code], cwd=house.root, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stderr.splitlines()[-1]) == []
    assert "Usage" in run.stdout


def test_importing_a_record_or_a_recipe_loads_no_heavy_library(house):
    code = (
        "import json, sys, tasks.contracts, tasks.recipe, tasks.settings, tasks.fingerprint, tasks.report.report;"
        f"print(json.dumps(sorted({set(HEAVY) - {'prefect'}!r} & set(sys.modules))))"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=house.root, capture_output=True, text=True, check=True)
    assert json.loads(run.stdout) == []
