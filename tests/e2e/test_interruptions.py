"""One small night that is interrupted, killed, run out of disk and cut off from MLflow, and still registers once."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.project import Project, checkout, make_small

pytestmark = pytest.mark.slow
PATIENCE = 300  # seconds; a machine may be slow, a hang is still found


def slow_sft(recipe: dict) -> None:
    """Long enough to be hit in the middle, with a checkpoint every few steps."""
    recipe["stages"][0]["sft"].update(steps=60, batch_size=16, checkpoint_every=5)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    made = make_small(checkout(tmp_path_factory.mktemp("interrupted") / "project"))
    made.edit("recipes/assistant.yaml", slow_sft)
    return made


def wait_for(happened: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    """Until something has happened while the process runs."""
    deadline = time.monotonic() + PATIENCE
    while not happened():
        assert process.poll() is None, "it ended before"
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.05)


def checkpoints(project: Project) -> int:
    """The highest step of a complete SFT checkpoint in scratch."""
    found = (project.root / ".pawl" / "steps").glob("*/checkpoint-*")
    return max((int(path.name.rpartition("-")[2]) for path in found), default=0)


def end_in_the_middle_of_sft(project: Project, sign: signal.Signals, after: int, **env: str) -> tuple[int, str]:
    """Start a night, send a signal once a checkpoint beyond `after` is complete, and wait for the end."""
    process = project.start("nightly", **env)
    wait_for(lambda: checkpoints(project) > after, process)
    os.killpg(process.pid, sign) if sign == signal.SIGINT else process.send_signal(sign)
    return process.wait(timeout=PATIENCE), project.said()


def statuses(project: Project) -> list[str]:
    """How the nights ended, newest first."""
    nights = project.json("run", "list")
    assert isinstance(nights, list)
    return [night["status"] for night in nights]


def test_ctrl_c_ends_with_130_and_registers_nothing(project: Project) -> None:
    code, said = end_in_the_middle_of_sft(project, signal.SIGINT, after=0)
    assert code == 130, said
    assert "Interrupted" in said and "Traceback" not in said
    assert project.json("model", "list") == []
    assert statuses(project) == ["interrupted"]


def test_kill_9_leaves_nothing_registered_and_no_lock(project: Project) -> None:
    code, _ = end_in_the_middle_of_sft(project, signal.SIGKILL, after=checkpoints(project))
    assert code == -signal.SIGKILL
    assert project.json("model", "list") == []


def test_a_full_disk_is_named_and_registers_nothing(project: Project, tmp_path: Path) -> None:
    """On a scratch filesystem of 3 MB the checkpoint comes from MLflow and the next one has no room."""
    small = tmp_path / "small"
    small.mkdir()
    mounted = f"mount -t tmpfs -o size=3m pawl-test {small}"
    as_root = ["unshare", "--mount", "--map-root-user"]
    if subprocess.run([*as_root, "sh", "-c", mounted], capture_output=True).returncode != 0:
        pytest.skip("this machine lets nobody mount a small filesystem")
    nightly = f"{mounted} && exec {sys.executable} -m cli.main nightly"
    done = subprocess.run(
        [*as_root, "sh", "-c", nightly],
        cwd=project.root,
        env=project.environment({"PAWL_SCRATCH": str(small), "PREFECT_HOME": str(tmp_path / "prefect")}),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 1, done.stderr
    assert "The disk is full" in done.stderr and "Free some space" in done.stderr
    assert "Traceback" not in done.stderr
    assert project.json("model", "list") == []


def test_the_next_night_resumes_and_registers_once(project: Project) -> None:
    shutil.rmtree(project.root / ".pawl" / "steps")  # the checkpoint in MLflow is enough
    report = project.json("nightly")
    assert isinstance(report, dict)
    steps = {step["name"]: step["status"] for step in report["steps"]}
    assert report["status"] == "registered"
    assert steps["sft"] == "resumed"
    assert steps["sample"] == steps["filter"] == "reused"
    models = project.json("model", "list")
    assert isinstance(models, list)
    assert sorted((m["name"], m["version"]) for m in models) == [
        ("assistant", 1),
        *(("assistant-candidates", version) for version in (1, 2, 3, 4)),
        ("assistant-int8", 1),
        ("assistant-nf4", 1),
    ]
    assert [status for status in statuses(project) if status != "failed"] == [
        "registered",
        "interrupted",
        "interrupted",
    ]


def test_after_a_change_only_what_depends_on_it_runs_again(project: Project) -> None:
    project.edit("recipes/assistant.yaml", lambda recipe: recipe["stages"][1]["dpo"].update(beta=0.7))
    planned = project.json("nightly", "--dry-run")
    assert isinstance(planned, dict)
    assert {s["name"]: s["status"] for s in planned["steps"]}["sft"] == "reused"
    assert {s["name"]: s["status"] for s in planned["steps"]}["dpo"] == "skipped"
    report = project.json("nightly")
    assert isinstance(report, dict)
    steps = {step["name"]: step["status"] for step in report["steps"]}
    assert {n for n, status in steps.items() if status == "reused"} == {"sample", "validate", "filter", "split", "sft"}
    assert {name for name, status in steps.items() if status == "done"} == {
        "dpo",
        "quantize",
        "evaluate",
        "gate",
        "register",
    }
    models = project.json("model", "list")
    assert isinstance(models, list)
    assert len({m["digest"] for m in models if m["tags"]["pawl.stage"] == "sft"}) == 1


@contextmanager
def mlflow_server(folder: Path, port: int) -> Iterator[str]:
    """A real MLflow server on this machine."""
    folder.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    stores = [
        "--backend-store-uri",
        f"sqlite:///{folder / 'mlflow.db'}",
        "--artifacts-destination",
        str(folder / "artifacts"),
    ]
    with (folder / "log").open("a") as log:
        server = subprocess.Popen([*command, *stores], cwd=folder, stdout=log, stderr=log, start_new_session=True)
    address = f"http://127.0.0.1:{port}"
    try:
        wait_for(lambda: answers(address), server)
        yield address
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def answers(address: str) -> bool:
    try:
        return httpx.get(f"{address}/health", timeout=2).status_code == 200
    except httpx.HTTPError:
        return False


def test_an_mlflow_server_that_dies_in_the_middle_is_named_and_the_next_night_carries_on(
    project: Project, tmp_path: Path, free_port: int
) -> None:
    store = tmp_path / "server"
    shutil.rmtree(project.root / ".pawl")
    with mlflow_server(store, free_port) as address:
        process = project.start("nightly", MLFLOW_TRACKING_URI=address)
        wait_for(lambda: checkpoints(project) > 0, process)
    code, said = process.wait(timeout=PATIENCE), project.said()
    assert code == 1, said
    assert address in said and "stopped answering" in said and "Traceback" not in said
    with mlflow_server(store, free_port) as address:
        report = project.json("nightly", MLFLOW_TRACKING_URI=address)
        assert isinstance(report, dict)
        assert report["status"] == "registered"
        assert {s["name"]: s["status"] for s in report["steps"]}["sft"] == "resumed"
        versions = json.loads(project.pawl("model", "list", "--json", MLFLOW_TRACKING_URI=address).stdout)
        assert len(versions) == 7
