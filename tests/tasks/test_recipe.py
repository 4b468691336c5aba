from pathlib import Path

import pytest

from tasks.errors import ConfigError
from tasks.recipe import check_references, load_params, load_recipe

GOOD = """
name: assistant
base_model: data/base/tiny
data: {demonstrations: demos, comparisons: comparisons, evaluation: heldout}
stages:
  - sft: {steps: 10, batch_size: 8, learning_rate: 1.0e-3}
  - dpo: {steps: 10, batch_size: 8, learning_rate: 1.0e-4}
quantize: {nf4: {}}
gates: {quantization_loss: {nf4: 0.03}}
"""
PARAMS = """
sample: {seed: 1, demonstrations: 16, comparisons: 16, prompts: 16, evaluation: 16, defect_rate: 0.1}
datasets:
  demos: {kind: demonstrations, source: demos.jsonl}
  comparisons: {kind: comparisons, source: comparisons.jsonl}
  heldout: {kind: evaluation, source: heldout.jsonl}
"""


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def problems(path: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        load_recipe(path)
    assert caught.value.exit_code == 2
    return str(caught.value)


def test_a_good_recipe_loads(tmp_path: Path) -> None:
    recipe = load_recipe(write(tmp_path / "r.yaml", GOOD))
    assert [entry.name for entry in recipe.stages] == ["sft", "dpo"]
    assert list(recipe.quantize.kinds()) == ["nf4"]


def test_all_problems_are_reported_at_once_each_with_its_path_and_the_fix(tmp_path: Path) -> None:
    text = GOOD.replace("learning_rate: 1.0e-4", "betta: 0.1").replace(
        "steps: 10, batch_size: 8, learning_rate: 1.0e-3", "steps: none"
    )
    message = problems(write(tmp_path / "r.yaml", text + "quantise: {}\n"))
    assert "6 problems" in message
    assert "stages[1].dpo.betta" in message and "did you mean beta?" in message
    assert "stages[1].dpo.learning_rate" in message and "required, but absent" in message
    assert "stages[0].sft.steps" in message and "got 'none'" in message
    assert "quantise" in message and "did you mean quantize?" in message
    assert message.endswith(f"Run  pawl recipe check {tmp_path / 'r.yaml'}  after the change.")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("  - dpo", "  - ppo"), "stages[1].ppo"),
        (("nf4: 0.03", "int8: 0.03"), "quantization_loss names int8"),
        (("comparisons: comparisons, ", ""), "stage dpo needs data.comparisons"),
        (("  - sft: {steps: 10, batch_size: 8, learning_rate: 1.0e-3}\n", ""), "stages are ['dpo']"),
        (
            ("batch_size: 8, learning_rate: 1.0e-3", "batch_size: 8, micro_batch_size: 3, learning_rate: 1.0e-3"),
            "does not divide",
        ),
        (("name: assistant", "name: ../x"), "name"),
    ],
)
def test_a_recipe_that_contradicts_itself_is_refused(tmp_path: Path, change: tuple[str, str], said: str) -> None:
    assert said in problems(write(tmp_path / "r.yaml", GOOD.replace(*change)))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [1", "not valid YAML"),
        ("name: a\nname: b\n", "given twice"),
        ("", "whole file"),
        ("!!python/object:os.x {}", "not valid YAML"),
    ],
)
def test_what_is_not_a_recipe_at_all_is_said_plainly(tmp_path: Path, text: str, said: str) -> None:
    assert said in problems(write(tmp_path / "r.yaml", text))


def test_a_missing_recipe_names_the_default_one(tmp_path: Path) -> None:
    assert "recipes/assistant.yaml" in problems(tmp_path / "absent.yaml")


def test_datasets_and_suites_that_are_not_there_or_of_another_kind_are_named(tmp_path: Path) -> None:
    text = GOOD.replace("demonstrations: demos", "demonstrations: demoz").replace(
        "evaluation: heldout", "evaluation: demos"
    )
    recipe = load_recipe(write(tmp_path / "r.yaml", text))
    params = load_params(write(tmp_path / "params.yaml", PARAMS))
    with pytest.raises(ConfigError) as caught:
        check_references(recipe, params, ["other"], tmp_path / "r.yaml")
    message = str(caught.value)
    assert 'no dataset "demoz" in params.yaml' in message
    assert 'dataset "demos" holds demonstrations; evaluation are needed' in message
    assert "evaluate.suite" in message and 'no suite "heldout" in evals/ (have: other)' in message


def test_a_quantized_model_without_a_limit_and_a_limit_without_a_model_are_refused(tmp_path: Path) -> None:
    assert "gates.quantization_loss.nf4" in problems(write(tmp_path / "a.yaml", GOOD.replace("{nf4: 0.03}", "{}")))
    assert "does not make" in problems(write(tmp_path / "b.yaml", GOOD.replace("{nf4: 0.03}", "{nf4: 0.03, int8: 0}")))


def test_what_is_not_a_number_is_refused(tmp_path: Path) -> None:
    text = GOOD.replace("gates: {", "gates: {floors: {exact_match: .nan}, ").replace("1.0e-3", ".inf")
    message = problems(write(tmp_path / "r.yaml", text))
    assert "gates.floors.exact_match" in message and "stages[0].sft.learning_rate" in message


def test_rules_over_several_fields_are_asked_even_where_a_field_is_wrong(tmp_path: Path) -> None:
    text = GOOD.replace("quantize: {nf4: {}}", "quantize: {nf4: {}, int8: {}}\nseed: none")
    message = problems(write(tmp_path / "r.yaml", text + "evaluat: {}\n"))
    assert "did you mean evaluate?" in message and "got 'none'" in message
    assert "set gates.quantization_loss.int8" in message


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("{nf4: 0.03}", "{}"),
        ("nf4: {}", "nf4: 3"),
        ("steps: 10, batch_size: 8", "steps: 10, batch_size: 8, micro_batch_size: 3"),
        ("nf4: 0.03", "nf4: 3"),
    ],
)
def test_one_mistake_is_one_problem(tmp_path: Path, before: str, after: str) -> None:
    assert "1 problem\n" in problems(write(tmp_path / "r.yaml", GOOD.replace(before, after, 1)))


def test_an_unknown_key_of_the_sample_world_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"sample\.seeds +unknown key; did you mean seed\?"):
        load_params(write(tmp_path / "params.yaml", PARAMS.replace("seed: 1", "seed: 1, seeds: 1")))
