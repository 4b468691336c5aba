import json

import pytest

from tests.project import Project, checkout


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return checkout(tmp_path_factory.mktemp("cli") / "project")


@pytest.mark.parametrize(
    "words",
    [
        ["nightly", "--nope"],
        ["bogus"],
        ["release", "promote", "assistant"],
        ["model", "chat"],
        ["run", "list", "--limit", "0"],
    ],
)
def test_a_wrong_command_line_ends_with_2_and_one_message(project: Project, words: list[str]) -> None:
    done = project.pawl(*words)
    assert done.returncode == 2
    assert done.stdout == ""
    assert "pawl --help" in done.stderr and "Traceback" not in done.stderr


def test_a_bad_recipe_ends_with_2_and_a_good_one_with_0(project: Project) -> None:
    assert project.pawl("recipe", "check", "recipes/assistant.yaml").returncode == 0
    bad = project.root / "bad.yaml"
    bad.write_text("name: x\nstagez: []\n")
    done = project.pawl("recipe", "check", "bad.yaml", "--json")
    assert done.returncode == 2
    assert done.stdout == ""
    assert "did you mean stages?" in done.stderr


@pytest.mark.parametrize("words", [["model", "list"], ["run", "list"]])
def test_reading_commands_print_pure_json_before_the_first_night(project: Project, words: list[str]) -> None:
    done = project.pawl(*words, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["release", "list", "assistant"], "pawl nightly"),
        (["model", "show", "assistant@champion"], "No registered model assistant"),
        (["model", "chat", "assistant", "--prompt", "hi"], "NAME@ALIAS"),
        (["release", "promote", "assistant", "--reason", "x"], "pawl nightly"),
        (["run", "show"], "pawl nightly"),
    ],
)
def test_what_is_not_there_is_named_with_the_next_command(project: Project, words: list[str], said: str) -> None:
    done = project.pawl(*words)
    assert done.returncode == 1
    assert said in done.stderr and "Traceback" not in done.stderr


def test_doctor_says_what_is_good_and_what_is_not(project: Project) -> None:
    checks = {check["name"]: check for check in json.loads(project.pawl("doctor", "--json").stdout)}
    assert set(checks) == {"python", "libraries", "disk", "device", "recipes", "data", "mlflow", "prefect"}
    assert all(check["good"] for check in checks.values()), checks
    done = project.pawl(
        "doctor", "--json", MLFLOW_TRACKING_URI="http://127.0.0.1:9", PREFECT_API_URL="http://127.0.0.1:9/api"
    )
    assert done.returncode == 1
    bad = {check["name"]: check["fix"] for check in json.loads(done.stdout) if not check["good"]}
    assert set(bad) == {"mlflow", "prefect"}
    assert all(bad.values())
