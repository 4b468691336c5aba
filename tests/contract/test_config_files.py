"""The files that others depend on: the lock, the recipes, the data policy, the pre-commit hooks."""

import re

import yaml

from flows.night import suites
from tasks.recipe import check_references, load_params, load_recipe


def pins(house) -> dict[str, str]:
    """Package to version, from the lines of requirements.lock that pin something."""
    lines = (house.root / "requirements.lock").read_text("utf-8").splitlines()
    found = [re.match(r"([A-Za-z0-9._-]+)==([^\s;\\]+)", line) for line in lines]
    return {m[1].lower(): m[2] for m in found if m}


def test_the_lock_installs_on_a_machine_without_a_gpu(house):
    assert not [name for name in pins(house) if re.match(r"(nvidia|cuda|triton)", name)]


def test_the_lock_names_torch_exactly(house):
    assert pins(house)["torch"] == "2.13.0"


def test_every_requirement_of_the_project_is_locked(house):
    import tomllib

    project = tomllib.loads((house.root / "pyproject.toml").read_text("utf-8"))["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    names = [re.split(r"[\[<>=!~; ]", line)[0].lower() for line in wanted]
    assert not [name for name in names if name not in pins(house)]


def test_every_recipe_loads_and_names_datasets_that_exist(house):
    params = load_params(house.root / "params.yaml")
    recipes = sorted((house.root / "recipes").rglob("*.yaml"))
    assert recipes
    for path in recipes:
        recipe = load_recipe(path)
        if path.parent.name == "recipes":  # examples in folders below name datasets that a user brings
            check_references(recipe, params, suites(house.root / "evals"), path)


def test_pre_commit_calls_only_tools_of_the_environment(house):
    config = yaml.safe_load((house.root / ".pre-commit-config.yaml").read_text("utf-8"))
    assert [repo["repo"] for repo in config["repos"]] == ["local"]
    assert {hook["language"] for repo in config["repos"] for hook in repo["hooks"]} == {"system"}
