import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tasks.adapters.runs import Details, Runs, connect
from tasks.contracts import BaseModelVersion, DatasetVersion
from tasks.errors import RegistryUnreachable
from tasks.settings import Settings

PRINT = "a" * 64
DETAILS = Details("sft", {"steps": 3, "lora": {"r": 4}}, {"pawl.recipe": "assistant"})
RESULT = BaseModelVersion(name="result", digest="d")


def make_checkpoint(folder: Path, name: str) -> Path:
    (folder / name).mkdir(parents=True)
    (folder / name / "state.txt").write_text(name)
    return folder / name


def test_a_finished_run_is_the_result_of_its_fingerprint(env: Settings) -> None:
    runs = Runs(env, "assistant")
    assert runs.finished(PRINT, BaseModelVersion) is None
    with runs.open("sft", PRINT, DETAILS) as run:
        run.out.mkdir()
        (run.out / "weights").write_text("w")
        run.log({"loss": 1.5}, step=1)
        run.log({"loss": 1.0}, step=2)
        run.store(RESULT, run.out)
    assert runs.finished(PRINT, BaseModelVersion) == RESULT
    assert (runs.files(run.id) / "weights").read_text() == "w"
    assert runs.curves(run.id)["loss"] == [(1, 1.5), (2, 1.0)]
    assert not run.folder.exists()


def test_a_failed_run_is_not_a_result_and_is_continued_from_its_checkpoint_on_another_disk(env: Settings) -> None:
    runs = Runs(env, "assistant")
    with pytest.raises(RuntimeError), runs.open("sft", PRINT, DETAILS) as first:
        first.keep(make_checkpoint(first.folder, "checkpoint-1"))
        first.keep(make_checkpoint(first.folder, "checkpoint-2"))
        raise RuntimeError
    assert runs.finished(PRINT, BaseModelVersion) is None
    assert not runs.has(first.id, "checkpoints/checkpoint-1")
    for path in sorted(first.folder.rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    with runs.open("sft", PRINT, DETAILS) as second:
        assert second.id == first.id and second.resumed
        assert (second.folder / "checkpoint-2" / "state.txt").read_text() == "checkpoint-2"
        second.store(RESULT)
    assert runs.finished(PRINT, BaseModelVersion) == RESULT
    assert not runs.client.list_artifacts(second.id, "checkpoints")


def test_a_kept_checkpoint_is_fetched_although_scratch_still_has_an_older_one(env: Settings) -> None:
    runs = Runs(env, "assistant")
    with pytest.raises(RuntimeError), runs.open("sft", PRINT, DETAILS) as first:
        first.keep(make_checkpoint(first.folder / "elsewhere", "checkpoint-2"))
        make_checkpoint(first.folder, "checkpoint-1")
        raise RuntimeError
    with runs.open("sft", PRINT, DETAILS) as second:
        assert (second.folder / "checkpoint-2" / "state.txt").read_text() == "checkpoint-2"
        second.store(RESULT)


def test_a_checkpoint_whose_marker_was_never_written_is_not_restored(env: Settings) -> None:
    runs = Runs(env, "assistant")
    with pytest.raises(RuntimeError), runs.open("sft", PRINT, DETAILS) as first:
        half = make_checkpoint(first.folder / "elsewhere", "checkpoint-1")
        runs.client.log_artifacts(first.id, str(half), "checkpoints/checkpoint-1")
        raise RuntimeError
    with runs.open("sft", PRINT, DETAILS) as second:
        assert not second.resumed
        second.store(RESULT)


def test_a_killed_process_leaves_a_run_that_the_next_one_continues(env: Settings) -> None:
    child = textwrap.dedent("""
        import os, signal
        from tasks.adapters.runs import Details, Runs
        from tasks.settings import settings
        runs = Runs(settings(), "assistant")
        with runs.open("sft", "a" * 64, Details("sft", {}, {})) as run:
            os.kill(os.getpid(), signal.SIGKILL)
    """)
    done = subprocess.run([sys.executable, "-c", child], env=os.environ | {"PAWL_ROOT": str(env.root)})
    assert done.returncode == -signal.SIGKILL
    runs = Runs(env, "assistant")
    with runs.open("sft", PRINT, DETAILS) as run:
        run.store(RESULT)
    assert len(runs.client.search_runs(runs.experiments())) == 1
    assert runs.finished(PRINT, BaseModelVersion) == RESULT


def test_ctrl_c_leaves_the_run_killed_and_resumable(env: Settings) -> None:
    runs = Runs(env, "assistant")
    with pytest.raises(KeyboardInterrupt), runs.open("sft", PRINT, DETAILS) as run:
        raise KeyboardInterrupt
    assert runs.client.get_run(run.id).info.status == "KILLED"
    with runs.open("sft", PRINT, DETAILS) as again:
        assert again.id == run.id
        again.store(RESULT)


def test_a_forced_attempt_is_a_run_of_its_own(env: Settings) -> None:
    runs = Runs(env, "assistant")
    ids = []
    for force in (False, True):
        with runs.open("sft", PRINT, DETAILS, force) as run:
            run.store(RESULT)
            ids.append(run.id)
    assert ids[0] != ids[1]


def test_what_trained_on_a_dataset_is_found_by_its_md5(env: Settings) -> None:
    runs = Runs(env, "assistant")
    version = DatasetVersion(name="demos", kind="demonstrations", source_md5="s" * 32, md5="m" * 32 + ".dir")
    with runs.open("sft", PRINT, Details("sft", {}, {}, [version])) as run:
        run.store(RESULT)
    found = runs.client.search_runs(runs.experiments(), filter_string=f"dataset.digest = '{version.md5}'")
    assert [r.info.run_id for r in found] == [run.id]


def test_a_server_that_does_not_answer_is_named_with_the_fix(env: Settings) -> None:
    gone = env.model_copy(update={"mlflow_tracking_uri": "http://127.0.0.1:9"})
    with pytest.raises(RegistryUnreachable, match=r"http://127\.0\.0\.1:9 .*MLFLOW_TRACKING_URI"):
        connect(gone)
