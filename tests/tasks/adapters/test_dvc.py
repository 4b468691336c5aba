import json
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import yaml

from tasks.adapters.dvc import dataset_version, locked_md5, push, reproduce, stage_names, stale_stages
from tasks.errors import DatasetMissing, DatasetRefused, StageFailed
from tasks.recipe import load_params

REPOSITORY = Path(__file__).resolve().parents[3]
NEEDED = (".dvc/config", ".dvc/.gitignore", ".dvcignore", ".gitignore", "dvc.yaml", "params.yaml")
STAGES = [
    "sample",
    "validate@demos",
    "validate@heldout",
    "filter@demos",
    "filter@heldout",
    "split@demos",
    "split@heldout",
]


def git(root: Path, *args: str) -> str:
    command = ["git", "-c", "user.name=test", "-c", "user.email=test@example.org", *args]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout


def edit_params(root: Path, **datasets: dict | None) -> None:
    """Change entries under datasets; None removes one."""
    path = root / "params.yaml"
    params = yaml.safe_load(path.read_text("utf-8"))
    for name, change in datasets.items():
        if change is None:
            del params["datasets"][name]
        else:
            params["datasets"][name] = params["datasets"].get(name, {}) | change
    path.write_text(yaml.safe_dump(params, sort_keys=False), encoding="utf-8")


def checkout(root: Path) -> Path:
    """A repository with the data graph, a small sample, and two datasets."""
    for name in NEEDED:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(REPOSITORY / name, root / name)
    shutil.copytree(REPOSITORY / "tasks", root / "tasks", ignore=shutil.ignore_patterns("__pycache__"))
    params = yaml.safe_load((root / "params.yaml").read_text("utf-8"))
    params["sample"].update(demonstrations=240, comparisons=16, prompts=16, evaluation=32)
    (root / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False), encoding="utf-8")
    edit_params(root, comparisons=None, prompts=None)
    git(root, "init", "-q")
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "checkout")
    return root


def run_all(root: Path) -> dict[str, bool]:
    return {stage: reproduce(root, stage) for stage in STAGES}


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """A checkout whose stages have all run. Tests read it, and leave it as it is."""
    root = checkout(tmp_path_factory.mktemp("made") / "project")
    assert set(stale_stages(root)) == set(STAGES)
    assert all(run_all(root).values())
    return root


@pytest.fixture
def project(made, tmp_path) -> Path:
    """A copy of it to change."""
    shutil.copytree(made, tmp_path / "project", symlinks=True)
    return tmp_path / "project"


@pytest.mark.slow
def test_the_stages_are_named_as_in_dvc_yaml_and_base_is_never_stale(made):
    assert set(stage_names(made)) == {"base", *STAGES}
    assert stale_stages(made) == {}


@pytest.mark.slow
def test_a_second_run_does_nothing(made):
    before = (made / "dvc.lock").read_bytes()
    assert not any(run_all(made).values())
    assert (made / "dvc.lock").read_bytes() == before


@pytest.mark.slow
def test_git_sees_nothing_but_the_lock_file(made):
    assert git(made, "status", "--short").split() == ["??", "dvc.lock"]


@pytest.mark.slow
def test_another_checkout_makes_the_same_bytes(made, tmp_path, monkeypatch):
    monkeypatch.setenv("POLARS_MAX_THREADS", "1")
    monkeypatch.setenv("PYTHONHASHSEED", "7")
    other = checkout(tmp_path / "other")
    run_all(other)
    assert yaml.safe_load((other / "dvc.lock").read_text()) == yaml.safe_load((made / "dvc.lock").read_text())


@pytest.mark.slow
def test_a_version_is_what_dvc_lock_says_it_is(made):
    params = load_params(made / "params.yaml")
    version = dataset_version(made, "demos", params)
    assert version.kind == "demonstrations"
    assert version.md5 == locked_md5(made, "data/clean/demos")
    assert version.md5.endswith(".dir")
    assert version.source_md5 == locked_md5(made, "data/raw/sample/demos.jsonl")
    assert dataset_version(made, "heldout", params).md5 != version.md5


@pytest.mark.slow
def test_push_sends_everything_once_to_a_remote_that_makes_itself(project):
    assert push(project) > 5
    assert push(project) == 0
    assert (project / ".pawl" / "dvc-remote" / "files").is_dir()


@pytest.mark.slow
def test_a_changed_policy_runs_only_what_depends_on_it(project):
    edit_params(project, demos={"validation_share": 0.3})
    stale = stale_stages(project)
    assert set(stale) == {"validate@demos", "filter@demos", "split@demos"}
    assert "params.yaml" in stale["split@demos"]


@pytest.mark.slow
def test_other_evaluation_items_run_the_filters_again(project):
    lines = (project / "data/raw/sample/heldout.jsonl").read_text("utf-8").splitlines(keepends=True)
    own = project.parent / "heldout.jsonl"
    own.write_text("".join(lines[:-1]), encoding="utf-8")
    edit_params(project, heldout={"source": "../heldout.jsonl"})
    assert reproduce(project, "validate@heldout")
    assert "filter@demos" in stale_stages(project)
    edit_params(project, heldout={"source": "data/raw/sample/heldout.jsonl"})
    assert reproduce(project, "validate@heldout")
    assert stale_stages(project) == {}


@pytest.mark.slow
def test_a_source_outside_of_the_repository_is_a_dependency_like_any_other(project):
    rows = [{"instruction": f"묻다 {n}", "input": "", "output": f"답은 {n}이다."} for n in range(40)]
    own = project.parent / "own.json"
    own.write_text(json.dumps(rows, ensure_ascii=False), encoding="utf-8")
    edit_params(project, demos={"source": str(own)})
    for verb in ("validate", "filter", "split"):
        assert reproduce(project, f"{verb}@demos")
    first = dataset_version(project, "demos", load_params(project / "params.yaml"))
    own.write_text(json.dumps(rows[1:], ensure_ascii=False), encoding="utf-8")
    assert set(stale_stages(project)) == {"validate@demos", "filter@demos"}
    for verb in ("validate", "filter", "split"):
        assert reproduce(project, f"{verb}@demos")
    second = dataset_version(project, "demos", load_params(project / "params.yaml"))
    assert (first.source_md5, first.md5) != (second.source_md5, second.md5)


@pytest.mark.slow
def test_a_refused_version_raises_what_the_stage_said_and_the_last_one_stays_in_the_lock(project, capfd):
    lock = (project / "dvc.lock").read_bytes()
    (project / "empty.jsonl").write_text("\n")
    edit_params(project, demos={"source": "empty.jsonl"})
    with pytest.raises(DatasetRefused, match='Dataset "demos" is empty') as refused:
        reproduce(project, "validate@demos")
    assert refused.value.exit_code == 3
    assert (project / "dvc.lock").read_bytes() == lock
    assert "Traceback" not in "".join(capfd.readouterr())


@pytest.mark.slow
def test_a_missing_source_is_named_with_the_fix(project):
    edit_params(project, demos={"source": "../nowhere/demos.jsonl"})
    with pytest.raises(DatasetMissing, match=r'"demos": \.\./nowhere/demos\.jsonl does not exist.*params\.yaml'):
        reproduce(project, "validate@demos")
    edit_params(project, demos={"source": "data/raw/sample/demos.jsonl"})
    assert stale_stages(project) == {}


@pytest.mark.slow
def test_a_stage_that_breaks_is_told_in_words(project):
    (project / "tasks/data/split.py").write_text("raise RuntimeError('no')")
    with pytest.raises(StageFailed, match="split@demos"):
        reproduce(project, "split@demos")


@pytest.mark.slow
def test_lost_outputs_come_back_from_the_cache_with_the_same_bytes(project):
    version = locked_md5(project, "data/clean/demos")
    shutil.rmtree(project / "data/clean")
    assert reproduce(project, "filter@demos")
    assert reproduce(project, "split@demos")
    assert locked_md5(project, "data/clean/demos") == version


@pytest.mark.slow
def test_two_processes_take_turns(project):
    edit_params(project, demos={"validation_share": 0.3})
    call = f"reproduce(Path({str(project)!r}), 'validate@demos')"
    program = f"from pathlib import Path; from tasks.adapters.dvc import reproduce; {call}"
    results: list[int] = []

    def one() -> None:
        results.append(subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY).returncode)

    threads = [threading.Thread(target=one) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [0, 0]


def test_a_folder_that_is_no_project_is_told_in_words(tmp_path):
    with pytest.raises(StageFailed, match="checkout"):
        stale_stages(tmp_path)


def test_a_version_before_the_first_run_is_told_in_words(tmp_path):
    with pytest.raises(StageFailed, match="pawl nightly"):
        locked_md5(tmp_path, "data/clean/demos")
    with pytest.raises(StageFailed, match="has not run"):
        dataset_version(tmp_path, "demos", load_params(REPOSITORY / "params.yaml"))


def test_the_committed_lock_file_fits_the_code_and_the_policy():
    if not (REPOSITORY / "dvc.lock").is_file():
        pytest.skip("no dvc.lock yet")
    behind = {name: why for name, why in stale_stages(REPOSITORY).items() if "changed" in why or "never run" in why}
    assert behind == {}, "run  pawl nightly  or  dvc repro,  and commit dvc.lock"
