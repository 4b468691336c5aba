"""The default night, once, in a fresh checkout: what the README promises."""

import json
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tasks.contracts import Adapter, EvalReport, QuantizedModel
from tasks.evaluate.comparison import chance_of, pair
from tests.project import Night

pytestmark = pytest.mark.slow
SUBJECTS = ("base", "sft", "dpo", "nf4", "int8")


@pytest.fixture(scope="module")
def reports(night: Night) -> dict[str, EvalReport]:
    """The evaluation of every model of the night."""
    found = [EvalReport.model_validate_json(path.read_text("utf-8")) for path in records(night, "evaluate")]
    return {report.subject: report for report in found}


def records(night: Night, step: str) -> list[Path]:
    """record.json of every run of a step."""
    import mlflow

    client = mlflow.MlflowClient(f"sqlite:///{night.project.root / 'mlruns' / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("assistant")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id], filter_string=f"tags.`pawl.step` = '{step}'")
    return [Path(client.download_artifacts(run.info.run_id, "record.json")) for run in runs]


def test_the_night_ends_registered(night: Night) -> None:
    assert night.report["status"] == "registered"
    assert {step["status"] for step in night.report["steps"]} == {"done"}
    assert all(gate["passed"] for gate in night.report["gates"])


def test_progress_is_one_line_a_start_and_one_an_end(night: Night) -> None:
    lines = night.progress.splitlines()
    for number, step in enumerate(night.report["steps"], start=1):
        place = f"| {number} of {len(night.report['steps'])} "
        assert [line.split(place)[1].split()[:2] for line in lines if place in line] == [
            ["START", step["name"]],
            ["DONE", step["name"]],
        ]
    assert [line for line in lines if line.endswith("Done. DONE=10 REUSED=0 REJECTED=0 FAILED=0")] != []


def test_git_status_is_clean_after_it(night: Night) -> None:
    assert night.project.git("status", "--porcelain") == ""


def test_the_base_cannot_answer_and_sft_can_in_every_family_and_language(reports: dict[str, EvalReport]) -> None:
    assert len(reports["sft"].families()) == 16
    assert reports["base"].exact_match() <= 0.05
    assert reports["sft"].exact_match() >= 0.85
    assert min(reports["sft"].families().values()) >= 0.60, reports["sft"].families()


def not_worse_than(new: EvalReport, old: EvalReport) -> bool:
    """No more items lost than equal models would lose by chance in one case of twenty (one-sided McNemar)."""
    pairs = pair(new.samples, old.samples)
    return pairs.lost <= pairs.gained or chance_of(pairs.lost, pairs.gained) > 0.05


def test_dpo_is_not_worse_than_sft_and_prefers_the_better_answer(night: Night, reports: dict[str, EvalReport]) -> None:
    assert not_worse_than(reports["dpo"], reports["sft"])
    [dpo] = [Adapter.model_validate_json(path.read_text("utf-8")) for path in records(night, "dpo")]
    assert dpo.metrics["preference_accuracy"] >= 0.85
    assert dpo.metrics["first_loss"] == pytest.approx(0.6931, abs=1e-3)


def test_quantized_models_answer_as_the_merged_model_does(night: Night, reports: dict[str, EvalReport]) -> None:
    merged = reports["dpo"].exact_match()  # the merge is exact, as its logits show
    assert merged - reports["nf4"].exact_match() <= 0.03
    assert merged - reports["int8"].exact_match() <= 0.01
    for path in records(night, "quantize"):
        model = QuantizedModel.model_validate_json(path.read_text("utf-8"))
        assert model.metrics["merge_logit_difference"] <= 1e-4
        assert model.metrics["reload_logit_difference"] <= 1e-5


def test_every_evaluation_keeps_all_its_samples(reports: dict[str, EvalReport]) -> None:
    assert set(reports) == set(SUBJECTS)
    assert {len(report.samples) for report in reports.values()} == {800}
    assert len({report.suite_digest for report in reports.values()}) == 1


def test_every_artifact_is_registered_with_data_commit_and_fingerprint(night: Night) -> None:
    models = night.project.json("model", "list")
    assert isinstance(models, list)
    assert {m["kind"] for m in models} == {"adapter", "nf4", "int8"}
    head = night.project.git("rev-parse", "HEAD").strip()
    lock = (night.project.root / "dvc.lock").read_text("utf-8")
    for model in models:
        tags = model["tags"]
        assert tags["pawl.git_commit"] == head
        assert len(tags["pawl.fingerprint"]) == 64
        assert tags["pawl.dataset_md5.demos"] in lock
    assert sorted(m["name"] for m in models if "challenger" in m["aliases"]) == [
        "assistant",
        "assistant-int8",
        "assistant-nf4",
    ]


def test_the_challenger_loads_with_mlflow_alone_in_a_new_process_without_a_network(
    night: Night, tmp_path: Path
) -> None:
    program = textwrap.dedent("""
        import socket, sys
        def refuse(*args, **kwargs): raise OSError("no network here")
        socket.socket.connect = socket.create_connection = refuse
        import mlflow
        mlflow.set_tracking_uri(sys.argv[1])
        model = mlflow.pyfunc.load_model("models:/assistant@challenger")
        answer = model.predict({"messages": [{"role": "user", "content": sys.argv[2]}]})
        print(answer["choices"][0]["message"]["content"])
        assert "tasks" not in sys.modules
    """)
    item = heldout(night, "classify", "ko")
    store = f"sqlite:///{night.project.root / 'mlruns' / 'mlflow.db'}"
    offline = night.project.environment({"HF_HUB_OFFLINE": "1", "PYTHONPATH": ""})
    done = subprocess.run(
        [sys.executable, "-c", program, store, item["prompt"][-1]["content"]],
        cwd=tmp_path,
        env=offline,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def heldout(night: Night, task: str, lang: str) -> dict:
    """A held-out item of a family that the SFT model learns well."""
    path = night.project.root / "data/raw/sample/heldout.jsonl"
    items = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    return next(i for i in items if i["task"] == task and i["lang"] == lang and len(i["prompt"]) == 1)


def test_nothing_that_was_registered_is_a_pickle(night: Night) -> None:
    stored = [p for p in (night.project.root / "mlruns").rglob("*") if p.is_file()]
    assert not [p for p in stored if p.suffix in (".pkl", ".pickle", ".pt", ".bin")]


def test_the_report_is_one_page_that_shows_the_whole_night(night: Night) -> None:
    page = Path(night.report["report"]).read_text("utf-8")
    assert "<script" not in page and "http://" not in page.replace("http://www.w3.org", "")
    for step in ("sft", "dpo", "quantize", "evaluate", "gate", "register"):
        assert step in page


def test_data_docs_are_written(night: Night) -> None:
    assert list((night.project.root / "data/reports/data_docs").rglob("index.html"))


def test_the_local_remote_holds_the_data(night: Night) -> None:
    assert [p for p in (night.project.root / ".pawl/dvc-remote").rglob("*") if p.is_file()]


def test_a_second_night_finds_that_nothing_changed(night: Night) -> None:
    again = night.project.json("nightly")
    assert isinstance(again, dict)
    assert again["status"] == "up_to_date"
    assert again["fingerprint"] == night.report["fingerprint"]
    assert {step["status"] for step in again["steps"]} == {"reused"}


def test_promotion_then_chat_then_still_up_to_date(night: Night) -> None:
    promoted = night.project.pawl("release", "promote", "assistant", "--reason", "first")
    assert promoted.returncode == 0, promoted.stderr
    for lang in ("en", "ko"):
        item = heldout(night, "classify", lang)
        asked = night.project.pawl("model", "chat", "assistant@champion", "--prompt", item["prompt"][0]["content"])
        assert asked.returncode == 0, asked.stderr
        assert asked.stdout.strip() == item["answer"]
    again = night.project.json("nightly")
    assert isinstance(again, dict)
    assert again["status"] == "up_to_date"
    assert night.project.git("status", "--porcelain") == ""


def test_a_candidate_that_only_ties_with_the_champion_is_rejected(night: Night) -> None:
    """Runs after the promotion: a recipe that differs in its gate alone makes the same model, which is no better."""
    name = "recipes/assistant.yaml"
    before = (night.project.root / name).read_text("utf-8")
    night.project.edit(name, lambda recipe: recipe["gates"]["floors"].update(exact_match=0.5))
    done = night.project.pawl("nightly", "--json")
    (night.project.root / name).write_text(before, "utf-8")
    report = json.loads(done.stdout)
    assert done.returncode == 3
    assert report["status"] == "rejected"
    assert {s["name"]: s["status"] for s in report["steps"]}["sft"] == "reused"
    assert any(not gate["passed"] and gate["champion"] is not None for gate in report["gates"])
