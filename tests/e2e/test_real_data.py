"""Real instruction data and real preferences, which nobody shaped for this project, through the whole chain."""

import json
from pathlib import Path

import pytest

from tests.project import Project, checkout, make_small

pytestmark = pytest.mark.slow


def test_real_data_ends_registered_or_rejected_for_a_reason(real: Path, tmp_path: Path) -> None:
    project: Project = make_small(checkout(tmp_path / "project"))

    def datasets(params: dict) -> None:
        params["datasets"]["demos"].update(source=str(real / "alpaca_9k.json"))
        params["datasets"]["comparisons"].update(source=str(real / "hh_rlhf_harmless_test.jsonl.gz"))

    def recipe(config: dict) -> None:
        config["stages"][0]["sft"].update(steps=30, batch_size=8, max_tokens=256)
        config["stages"][1]["dpo"].update(steps=24, batch_size=4, max_tokens=256)
        config["gates"]["floors"].update(exact_match=0.05)

    project.edit("params.yaml", datasets)
    project.edit("recipes/assistant.yaml", recipe)
    done = project.pawl("nightly", "--json")
    assert done.returncode in (0, 3), done.stderr
    assert "Traceback" not in done.stderr
    report = json.loads(done.stdout)
    assert report["status"] == ("registered" if done.returncode == 0 else "rejected")
    assert [s["status"] for s in report["steps"]] == ["done"] * 10
    assert all(gate["reason"] for gate in report["gates"])
    funnel = json.loads((project.root / "data/reports/filter/demos.json").read_text("utf-8"))
    assert funnel["read"] == 9229
    assert funnel["kept"] > 8000
    assert funnel["kept"] + funnel["rejected"] == funnel["read"]
