"""Direct preference optimization: which pairs, from which reference, to which adapter."""

import math

import pytest
import torch

from tasks.contracts import content_digest
from tasks.errors import TrainingFailed
from tasks.train.dpo import MOST_PAIRS, dpo, pairs_of
from tasks.train.execution import Execution
from tests.tasks.train.conftest import DPO, comparisons, write


def run(config, base, parent, pairs, folder, **execution) -> dict[str, float]:
    where = (base, parent, pairs, folder / "out")
    return dpo(config, *where, seed=1, execution=Execution(work=folder / "work", **execution))


@pytest.fixture(scope="module")
def preferred(base, trained, pairs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("dpo")
    return folder / "out", run(DPO, base, trained.out, pairs, folder)


def test_the_first_loss_is_ln_2_and_then_it_falls(preferred):
    _, metrics = preferred
    assert metrics["first_loss"] == pytest.approx(math.log(2), abs=1e-5)
    assert metrics["train_loss"] < metrics["first_loss"]


def test_the_result_is_one_plain_adapter_whose_rewards_are_those_reported(base, trained, pairs, preferred):
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    out, metrics = preferred
    assert not [p for p in out.iterdir() if p.is_dir()]
    tokenizer = AutoTokenizer.from_pretrained(out)

    def log_prob(model, prompt, answer):
        ids = tokenizer.apply_chat_template(prompt, add_generation_prompt=True)["input_ids"]
        end = tokenizer(answer + "<|end|>", add_special_tokens=False)["input_ids"]
        with torch.no_grad():
            logits = model(torch.tensor([ids + end])).logits[0, len(ids) - 1 : -1]
        return -torch.nn.functional.cross_entropy(logits, torch.tensor(end), reduction="sum").item()

    def model(adapter):
        return PeftModel.from_pretrained(
            AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32), adapter
        ).eval()

    policy, reference = model(out), model(trained.out)  # the reference is the SFT adapter, not the bare base
    margins = []
    for prompt, (chosen, rejected) in pairs_of(comparisons()[::4], seed=1):
        reward = [log_prob(policy, prompt, a) - log_prob(reference, prompt, a) for a in (chosen, rejected)]
        margins.append(reward[0] - reward[1])
    assert metrics["preference_accuracy"] == pytest.approx(sum(m > 0 for m in margins) / len(margins))
    loss = sum(math.log1p(math.exp(-DPO.beta * m)) for m in margins) / len(margins)
    assert metrics["valid_loss"] == pytest.approx(loss, abs=1e-4)


def test_the_parent_is_left_as_it_was_and_the_result_differs(trained, preferred):
    out, _ = preferred
    assert content_digest(out) != content_digest(trained.out)
    assert (out / "adapter_config.json").read_bytes() == (trained.out / "adapter_config.json").read_bytes()


def test_a_run_cut_off_resumes_to_the_same_bytes(base, trained, pairs, preferred, tmp_path):
    def stop(metrics, step):
        if step == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(DPO, base, trained.out, pairs, tmp_path, log=stop)
    assert (tmp_path / "work" / "checkpoint-3").is_dir()
    metrics = run(DPO, base, trained.out, pairs, tmp_path)
    out, undisturbed = preferred
    assert content_digest(tmp_path / "out") == content_digest(out)
    assert metrics == undisturbed


def test_ties_and_equal_texts_give_no_pair():
    record = {"id": "x", "prompt": [], "responses": ["a", "b", "c", "a"], "ranks": [1, 2, 2, 3]}
    assert {pair for _, pair in pairs_of([record], seed=1)} == {("a", "b"), ("a", "c")}
    assert pairs_of([{**record, "ranks": [1, 1, 1, 1]}], seed=1) == []


def test_a_prompt_gives_a_few_pairs_and_always_the_same_ones():
    record = {"id": "x", "prompt": [], "responses": list("abcdefghi"), "ranks": list(range(1, 10))}
    pairs = pairs_of([record], seed=1)
    assert len(pairs) == MOST_PAIRS
    assert {chosen for _, (chosen, _) in pairs} == {"a"}
    assert pairs == pairs_of([record], seed=1)


def test_comparisons_that_all_tie_are_refused(base, trained, tmp_path):
    tied = [{**record, "ranks": [1, 1, 1, 1]} for record in comparisons()]
    with pytest.raises(TrainingFailed, match="no pairs to learn from"):
        run(DPO, base, trained.out, write(tmp_path / "pairs", tied, []), tmp_path)
