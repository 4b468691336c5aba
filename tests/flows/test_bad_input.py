"""Each kind of bad input ends a night with one clear message, the right exit code, and nothing half registered."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow import MlflowClient

from tasks.adapters.dvc import reproduce
from tests.project import Project, checkout, make_small

pytestmark = pytest.mark.slow
DEMOS = "data/raw/own.jsonl"


@pytest.fixture(scope="session")
def sampled(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A small project with the sample world made."""
    project = make_small(checkout(tmp_path_factory.mktemp("sampled") / "project"))
    reproduce(project.root, "sample")
    return project


@pytest.fixture
def project(sampled: Project, tmp_path: Path) -> Project:
    """A copy that a test may break, its demonstrations in a file of the user's own."""
    copy = Project(Path(shutil.copytree(sampled.root, tmp_path / "project", symlinks=True)))
    shutil.copy2(copy.root / "data/raw/sample/demos.jsonl", copy.root / DEMOS)
    copy.edit("params.yaml", lambda config: config["datasets"]["demos"].update(source=DEMOS))
    return copy


def refused(project: Project, code: int, *said: str, **env: str) -> str:
    """Run a night that must end with this exit code and say these words, in one message and without a traceback."""
    done = project.pawl("nightly", **env)
    assert done.returncode == code, done.stderr
    for words in said:
        assert words in done.stderr, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    return done.stderr


def nothing_registered(project: Project) -> bool:
    store = f"sqlite:///{project.root / 'mlruns' / 'mlflow.db'}"
    return not MlflowClient(store, store).search_registered_models()


def change_recipe(project: Project, change: Callable[[dict], None]) -> None:
    project.edit("recipes/assistant.yaml", change)


def test_an_unknown_recipe_key(project: Project) -> None:
    change_recipe(project, lambda recipe: recipe["stages"][1]["dpo"].update(betta=0.2))
    refused(project, 2, "stages[1].dpo.betta", "did you mean beta?", "pawl recipe check")


def test_a_dataset_that_params_does_not_name(project: Project) -> None:
    change_recipe(project, lambda recipe: recipe["data"].update(demonstrations="mine"))
    refused(project, 2, "data.demonstrations", 'no dataset "mine" in params.yaml')


def test_a_dataset_whose_file_is_missing(project: Project) -> None:
    (project.root / DEMOS).unlink()
    refused(project, 1, "demos", DEMOS, "params.yaml")
    assert nothing_registered(project)


def test_an_empty_dataset(project: Project) -> None:
    (project.root / DEMOS).write_text("")
    refused(project, 3, "demos", "empty")
    assert nothing_registered(project)


def test_too_many_broken_lines(project: Project) -> None:
    path = project.root / DEMOS
    lines = path.read_text("utf-8").splitlines()
    lines[4:40] = ['{"instruction": "half'] * 36
    path.write_text("\n".join(lines), "utf-8")
    refused(project, 3, "demos", "own.jsonl", "line 5, column 17", "max_unreadable")
    assert nothing_registered(project)


def test_one_broken_line_is_rejected_with_its_place_and_the_rest_goes_on(project: Project) -> None:
    path = project.root / DEMOS
    lines = path.read_text("utf-8").splitlines()
    lines[4] = lines[4][:-9]
    path.write_text("\n".join(lines), "utf-8")
    for stage in ("validate@heldout", "validate@demos", "filter@demos"):
        reproduce(project.root, stage)
    rejects = [json.loads(line) for line in (project.root / "data/rejects/demos.jsonl").read_text("utf-8").splitlines()]
    [unreadable] = [r for r in rejects if any(reason["reason"] == "unreadable" for reason in r["reasons"])]
    assert unreadable["line"] == 5
    funnel = json.loads((project.root / "data/reports/filter/demos.json").read_text("utf-8"))
    assert funnel["unreadable"] == 1
    assert funnel["kept"] > 150


def test_a_base_model_that_does_not_exist(project: Project) -> None:
    change_recipe(project, lambda recipe: recipe.update(base_model="data/base/tyni"))
    refused(project, 1, "base_model data/base/tyni", "no such folder", "recipe")


def test_a_mistyped_setting(project: Project) -> None:
    done = project.pawl("nightly", PAWL_DEVICE="tpu")
    assert done.returncode == 2
    assert "PAWL_DEVICE" in done.stderr and "Traceback" not in done.stderr


def test_mlflow_that_is_unreachable_from_the_start(project: Project) -> None:
    address = "http://127.0.0.1:9"
    refused(project, 1, address, "does not answer", "MLFLOW_TRACKING_URI", MLFLOW_TRACKING_URI=address)


def test_a_prefect_server_that_is_unreachable(project: Project) -> None:
    refused(project, 1, "PREFECT_API_URL", "does not answer", PREFECT_API_URL="http://127.0.0.1:9/api")


def test_a_failed_night_with_json_still_prints_one_object(project: Project) -> None:
    (project.root / DEMOS).write_text("")
    done = project.pawl("nightly", "--json")
    assert done.returncode == 3
    report = json.loads(done.stdout)
    assert report["status"] == "rejected"
    assert [step["status"] for step in report["steps"]][-1] == "failed"
    [night] = json.loads(project.pawl("run", "list", "--json").stdout)
    assert night["status"] == "rejected"
    assert json.loads(project.pawl("run", "show", "--json").stdout) == report
