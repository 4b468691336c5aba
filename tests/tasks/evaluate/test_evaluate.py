"""Putting an evaluation set to a model."""

import logging
import shutil
import socket
import unicodedata
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from tasks.contracts import Sample
from tasks.errors import EvaluationFailed
from tasks.evaluate.evaluate import evaluate
from tasks.evaluate.models import ModelFiles, load_model
from tasks.recipe import Evaluate

SHORT = Evaluate(max_new_tokens=8, batch_size=3)


def outputs(samples: tuple[Sample, ...]) -> list[str]:
    return [sample.output for sample in samples]


def test_answers_are_what_plain_generation_gives_for_the_rendered_conversation(tiny: Path, suite: Path, items, write):
    samples = evaluate(ModelFiles(base=tiny), suite, write(items), SHORT, device="cpu")
    network, tokenizer = AutoModelForCausalLM.from_pretrained(tiny), AutoTokenizer.from_pretrained(tiny)
    for item, sample in zip(items, samples, strict=True):
        asked = tokenizer.apply_chat_template(
            item["prompt"], add_generation_prompt=True, return_tensors="pt", return_dict=True
        )
        answered = network.generate(**asked, max_new_tokens=8, do_sample=False)[0, asked["input_ids"].shape[1] :]
        assert sample.output == tokenizer.decode(answered, skip_special_tokens=True)
        assert (sample.id, sample.task, sample.lang) == (item["id"], item["task"], item["lang"])


def test_batches_give_the_answers_of_one_at_a_time(tiny: Path, suite: Path, items, write):
    data = write(items)
    together = evaluate(ModelFiles(base=tiny), suite, data, Evaluate(max_new_tokens=12, batch_size=8), device="cpu")
    alone = evaluate(ModelFiles(base=tiny), suite, data, Evaluate(max_new_tokens=12, batch_size=1), device="cpu")
    assert together == alone


def test_an_answer_is_right_in_any_unicode_form_and_with_any_space_around_it(tiny: Path, suite: Path, items, write):
    said = outputs(evaluate(ModelFiles(base=tiny), suite, write(items), SHORT, device="cpu"))
    spelled = [
        {**item, "answer": f" {unicodedata.normalize('NFD', text)}\n"} for item, text in zip(items, said, strict=True)
    ]
    spelled[3]["answer"] = f"{said[3].strip()}."
    samples = evaluate(ModelFiles(base=tiny), suite, write(spelled), SHORT, device="cpu")
    assert [sample.correct for sample in samples] == [number != 3 for number in range(8)]


def test_an_answer_that_looks_like_a_python_list_stays_text(tiny: Path, suite: Path, items, write):
    samples = evaluate(ModelFiles(base=tiny), suite, write(items), SHORT, device="cpu")
    assert {sample.answer for sample in samples} == {"[red]"}
    assert not any(sample.correct for sample in samples)


def test_a_conversation_is_kept_as_a_person_reads_it(tiny: Path, suite: Path, items, write):
    samples = evaluate(ModelFiles(base=tiny), suite, write(items[:2]), SHORT, device="cpu")
    assert samples[0].prompt.splitlines()[:3] == [
        "system: 당신은 선장입니다. You are a captain.",
        "user: Hello",
        "assistant: 안녕하세요",
    ]
    assert samples[1].prompt == "사과는 무슨 색입니까? 사과는 무슨 색입니까?"


def test_a_changed_file_is_read_again(tiny: Path, suite: Path, items, write):
    before = evaluate(ModelFiles(base=tiny), suite, write(items[:3]), SHORT, device="cpu")
    after = evaluate(ModelFiles(base=tiny), suite, write([{**items[0], "answer": "other"}]), SHORT, device="cpu")
    assert ([s.answer for s in before], [s.answer for s in after]) == (["[red]"] * 3, ["other"])


def test_it_needs_no_network_no_cache_and_no_working_directory(
    tiny: Path, suite: Path, items, write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    import datasets

    def refuse(*_: object) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))
    data = write(items[:2])
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert len(evaluate(ModelFiles(base=tiny), suite, data, SHORT, device="cpu")) == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["elsewhere", "heldout"]
    assert not list((tmp_path / "elsewhere").iterdir())


def test_folders_may_be_named_relative_to_the_working_directory(tiny: Path, suite: Path, items, write, monkeypatch):
    data = write(items[:2])
    monkeypatch.chdir(data.parent)
    shutil.copytree(suite, "evals")
    assert len(evaluate(ModelFiles(base=tiny), Path("evals"), Path("heldout"), SHORT, device="cpu")) == 2


@pytest.mark.parametrize(("named", "ending"), [(None, [1]), (7, [1, 7]), ([9, 7, 1], [1, 7, 9])])
def test_the_tokenizer_s_end_token_ends_an_answer_beside_those_that_the_settings_name(named, ending, tiny: Path):
    from tasks.evaluate.generation import GreedyChat

    network, tokenizer = load_model(ModelFiles(base=tiny), "cpu")
    network.generation_config.eos_token_id = named
    assert GreedyChat(network, tokenizer, batch_size=1).end_tokens() == ending


def test_logits_that_are_not_finite_are_no_answers(tiny: Path, suite: Path, items, write, tmp_path: Path):
    broken = Path(shutil.copytree(tiny, tmp_path / "base"))
    tensors = load_file(broken / "model.safetensors")
    tensors["model.norm.weight"][0] = float("nan")
    save_file(tensors, broken / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(EvaluationFailed, match="not finite"):
        evaluate(ModelFiles(base=broken), suite, write(items[:2]), SHORT, device="cpu")


def test_a_prompt_that_leaves_no_room_for_an_answer_is_not_cut_in_silence(tiny: Path, suite: Path, items, write):
    long = {**items[1], "id": "too-long", "prompt": [{"role": "user", "content": "사과 apple " * 700}]}
    with pytest.raises(EvaluationFailed, match=r"1 of 3 evaluation prompts .* \(first: too-long\)"):
        evaluate(ModelFiles(base=tiny), suite, write([*items[:2], long]), SHORT, device="cpu")


def test_a_conversation_that_the_template_refuses_is_named_not_changed(tiny: Path, suite: Path, items, write):
    odd = {**items[1], "prompt": [{"role": "tool", "content": "5"}]}
    with pytest.raises(EvaluationFailed, match="roles tool"):
        evaluate(ModelFiles(base=tiny), suite, write([odd]), SHORT, device="cpu")


def test_a_tokenizer_without_a_chat_template_is_refused(tiny: Path, suite: Path, items, write, tmp_path: Path):
    plain = Path(shutil.copytree(tiny, tmp_path / "base"))
    (plain / "chat_template.jinja").unlink()
    with pytest.raises(EvaluationFailed, match="no chat template"):
        evaluate(ModelFiles(base=plain), suite, write(items[:1]), SHORT, device="cpu")


def test_an_unknown_suite_is_named_with_those_at_hand(tiny: Path, suite: Path, items, write):
    with pytest.raises(EvaluationFailed, match=r"no suite mmlu \(have: heldout\)"):
        evaluate(ModelFiles(base=tiny), suite, write(items[:1]), Evaluate(suite="mmlu"), device="cpu")


def test_an_int8_layer_does_not_log_a_line_a_forward(tiny: Path, suite: Path, items, write, tmp_path: Path, caplog):
    from tasks.quantize.quantize import quantize
    from tasks.recipe import Int8

    quantize("int8", Int8(), tiny, tmp_path / "int8", device="cpu")
    with caplog.at_level(logging.WARNING):
        samples = evaluate(ModelFiles(model=tmp_path / "int8"), suite, write(items[:2]), SHORT, device="cpu")
    assert len(samples) == 2
    assert "MatMul8bitLt" not in caplog.text
