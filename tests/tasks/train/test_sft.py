"""Supervised fine-tuning: what is learned, what is cut, what survives a kill, what leaves the machine."""

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tasks.contracts import content_digest
from tasks.errors import BaseModelMissing, DiskFull, TrainingFailed
from tasks.train.execution import Execution
from tasks.train.model import load_base, load_tokenizer, public_name
from tasks.train.sft import sft
from tests.tasks.train.conftest import NAMES, SFT, ask, demonstrations, write

ROOT = Path(__file__).resolve().parents[3]
KILLED = """
import os, signal, sys
from pathlib import Path
import torch
from tasks.train.execution import Execution
from tasks.train.sft import sft
from tests.tasks.train.conftest import SFT

torch.set_num_threads(1)
base, demos, folder = map(Path, sys.argv[1:])

def log(metrics, step):
    if step == 7:
        os.kill(os.getpid(), signal.SIGKILL)

sft(SFT, base, demos, folder / "out", seed=1, execution=Execution(work=folder / "work", log=log))
"""


def run(config, base: Path, demos: Path, folder: Path, **execution) -> dict[str, float]:
    return sft(config, base, demos, folder / "out", seed=1, execution=Execution(work=folder / "work", **execution))


@pytest.mark.parametrize("name", ["Nora", "민수"])
def test_only_the_answer_and_its_end_are_learned(base, name):
    from trl.trainer.sft_trainer import DataCollatorForLanguageModeling

    from tasks.train.examples import encode

    tokenizer = load_tokenizer(base)
    rows = [
        row for e in encode(tokenizer, [(ask(name), [name]), (ask("Tom"), ["Tom Tom Tom"])], 128) for row in e.rows()
    ]
    batch = DataCollatorForLanguageModeling(pad_token_id=tokenizer.pad_token_id)(rows)
    learned = batch["input_ids"][0][batch["labels"][0] != -100]
    read = batch["input_ids"][0][batch["attention_mask"][0] == 1]
    assert tokenizer.decode(learned) == f"{name}<|end|>"
    assert tokenizer.decode(read) == f"<|user|>\n{ask(name)[0]['content']}<|end|><|assistant|>\n{name}<|end|>"


def test_token_ids_are_those_of_the_chat_template(base):
    from tasks.train.examples import encode

    tokenizer = load_tokenizer(base)
    [encoded] = encode(tokenizer, [(ask("수진"), ["수진"])], 128)
    whole = [*ask("수진"), {"role": "assistant", "content": "수진"}]
    assert encoded.rows()[0]["input_ids"] == tokenizer.apply_chat_template(whole)["input_ids"]


def test_the_loss_falls_and_is_the_mean_over_answer_tokens(base, demos, trained):
    from tasks.train.examples import draw

    first = trained.metrics["first_loss"]
    assert trained.metrics["train_loss"] < first
    records = demonstrations()
    batch = [records[i] for i in draw(16, 16, 1)]
    batch = [batch[i] for i in draw(16, 8, 1)]  # the first of both epochs' draws
    tokenizer, model = load_tokenizer(base), load_base(base, "cpu", 1, 128)
    total, count = 0.0, 0
    for record in batch:
        prompt = tokenizer.apply_chat_template(record["prompt"], add_generation_prompt=True)["input_ids"]
        answer = tokenizer(record["response"] + "<|end|>", add_special_tokens=False)["input_ids"]
        with torch.no_grad():
            logits = model(torch.tensor([prompt + answer])).logits[0, len(prompt) - 1 : -1]
        total += torch.nn.functional.cross_entropy(logits, torch.tensor(answer), reduction="sum").item()
        count += len(answer)
    assert first == pytest.approx(total / count, rel=0.01)  # a fresh LoRA changes nothing


def test_metrics_and_checkpoints_are_handed_over_while_training(trained):
    steps = [step for step, metrics in trained.logged if "loss" in metrics]
    assert steps == list(range(1, 11))
    assert {"learning_rate", "grad_norm", "tokens_per_second"} <= trained.logged[0][1].keys()
    assert trained.kept == ["checkpoint-4", "checkpoint-8", "checkpoint-10"]
    assert trained.metrics["steps"] == 10
    assert trained.metrics["examples"] == 16
    assert trained.metrics["tokens_trained"] < trained.metrics["tokens_seen"]
    assert "valid_loss" in trained.metrics


def test_the_adapter_loads_with_plain_peft_and_computes_what_was_validated(base, demos, trained):
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(trained.out)
    model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32), trained.out)
    total, count = 0.0, 0
    for record in demonstrations()[::4]:
        prompt = tokenizer.apply_chat_template(record["prompt"], add_generation_prompt=True)["input_ids"]
        answer = tokenizer(record["response"] + "<|end|>", add_special_tokens=False)["input_ids"]
        with torch.no_grad():
            logits = model(torch.tensor([prompt + answer])).logits[0, len(prompt) - 1 : -1]
        total += torch.nn.functional.cross_entropy(logits, torch.tensor(answer), reduction="sum").item()
        count += len(answer)
    assert trained.metrics["valid_loss"] == pytest.approx(total / count, abs=1e-4)


def test_the_folder_names_no_machine_and_no_pickle(base, trained):
    files = {p.name: p for p in trained.out.iterdir()}
    assert {"adapter_config.json", "adapter_model.safetensors", "tokenizer.json", "chat_template.jinja"} <= files.keys()
    assert not [name for name in files if name.endswith((".bin", ".pt", ".pth", ".pkl", ".md"))]
    assert json.loads(files["adapter_config.json"].read_text("utf-8"))["base_model_name_or_path"] == "tiny"
    for path in files.values():
        assert str(base.parent).encode() not in path.read_bytes(), path.name


def test_a_snapshot_of_the_hub_keeps_its_public_name():
    assert public_name(Path("hub/models--org--small-model/snapshots/0123abcd")) == "org/small-model"


def test_a_killed_run_resumes_to_the_bytes_of_an_undisturbed_one(base, demos, trained, tmp_path, caplog):
    command = [sys.executable, "-c", KILLED, str(base), str(demos), str(tmp_path)]
    killed = subprocess.run(command, cwd=ROOT, capture_output=True, timeout=300)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert not (tmp_path / "out").exists()
    assert [p.name for p in (tmp_path / "work").glob("checkpoint-*")] == ["checkpoint-4"]
    with caplog.at_level("INFO", logger="pawl.train"):
        metrics = run(SFT, base, demos, tmp_path)
    assert "sft resumes at step 4 of 10" in caplog.text
    assert content_digest(tmp_path / "out") == content_digest(trained.out)
    assert metrics == trained.metrics


def test_a_checkpoint_cut_short_is_passed_over_for_the_one_before(base, demos, trained, tmp_path, caplog):
    run(SFT, base, demos, tmp_path)
    shutil.rmtree(tmp_path / "out")
    newest = tmp_path / "work" / "checkpoint-10" / "optimizer.pt"
    newest.write_bytes(newest.read_bytes()[:1000])
    with caplog.at_level("INFO", logger="pawl.train"):
        run(SFT, base, demos, tmp_path)
    assert "checkpoint-10 is incomplete" in caplog.text
    assert "resumes at step 8 of 10" in caplog.text
    assert content_digest(tmp_path / "out") == content_digest(trained.out)


def test_a_run_killed_after_its_last_step_ends_without_training_again(base, demos, trained, tmp_path):
    run(SFT, base, demos, tmp_path)
    steps: list[int] = []
    metrics = run(
        SFT, base, demos, tmp_path, log=lambda metrics, step: steps.append(step) if "loss" in metrics else None
    )
    assert steps == []
    assert metrics == trained.metrics
    assert content_digest(tmp_path / "out") == content_digest(trained.out)


def test_another_seed_gives_another_adapter(base, demos, trained, tmp_path):
    execution = Execution(work=tmp_path / "work")
    sft(SFT, base, demos, tmp_path / "out", seed=2, execution=execution)
    assert content_digest(tmp_path / "out") != content_digest(trained.out)


def test_micro_batches_add_up_to_the_batch(base, demos, tmp_path):
    losses = []
    for size in (1, 8):
        config = SFT.model_copy(
            update={"micro_batch_size": size, "steps": 3, "lora": SFT.lora.model_copy(update={"dropout": 0.0})}
        )
        losses.append(run(config, base, demos, tmp_path / str(size))["valid_loss"])
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)


def test_what_max_tokens_cuts_is_counted_and_said(base, tmp_path, caplog):
    records = demonstrations()
    records[0] = {**records[0], "response": "Nora " * 400}
    records[1] = {**records[1], "prompt": [{"role": "user", "content": "Berlin " * 400}]}
    demos = write(tmp_path / "demos", records, [])
    metrics = run(SFT.model_copy(update={"steps": 2}), base, demos, tmp_path)
    assert metrics["examples"] == 15
    assert metrics["examples_truncated"] == 2
    assert metrics["examples_dropped"] == 1
    assert metrics["tokens_truncated"] > 50
    assert "valid_loss" not in metrics
    assert "2 of 16 demonstrations are longer than max_tokens 128" in caplog.text


def test_nothing_within_max_tokens_is_refused_with_the_fix(base, demos, tmp_path):
    with pytest.raises(TrainingFailed, match=r"None of 16 demonstrations .* Raise max_tokens"):
        run(SFT.model_copy(update={"max_tokens": 8}), base, demos, tmp_path)


def test_an_empty_dataset_is_refused(base, tmp_path):
    with pytest.raises(TrainingFailed, match="no demonstrations to learn from"):
        run(SFT, base, write(tmp_path / "demos", [], []), tmp_path)


def test_a_tokenizer_without_chat_template_is_refused_with_the_fix(base, demos, tmp_path):
    bare = shutil.copytree(base, tmp_path / "bare", ignore=shutil.ignore_patterns("chat_template.jinja"))
    with pytest.raises(TrainingFailed, match=r"bare has no chat template.*chat_template\.jinja"):
        run(SFT, bare, demos, tmp_path)


def test_a_role_that_the_template_refuses_is_named(base, tmp_path):
    record = {**demonstrations()[0], "prompt": [{"role": "tool", "content": "x"}]}
    with pytest.raises(TrainingFailed, match="refuses a conversation with the roles tool"):
        run(SFT, base, write(tmp_path / "demos", [record], []), tmp_path)


def test_a_folder_without_a_model_is_refused(demos, tmp_path):
    with pytest.raises(BaseModelMissing, match="base_model"):
        run(SFT, tmp_path, demos, tmp_path)


def test_a_loss_that_is_not_a_number_stops_training_at_once(base, demos, tmp_path):
    steps: list[int] = []
    config = SFT.model_copy(update={"learning_rate": 1e30, "warmup_steps": 0, "max_grad_norm": 1e30})
    with pytest.raises(TrainingFailed, match=r"The loss at step \d is nan.*Lower learning_rate"):
        run(config, base, demos, tmp_path, log=lambda metrics, step: steps.append(step))
    assert max(steps) < SFT.steps
    assert not (tmp_path / "out").exists()


def test_a_full_disk_is_said_and_the_next_run_carries_on(base, demos, trained, tmp_path):
    work = tmp_path / "work"
    work.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1200k", "tmpfs", str(work)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("this user may not mount a small disk")
    try:
        with pytest.raises(DiskFull, match=r"checkpoint of step 8.*carries on"):
            run(SFT, base, demos, tmp_path)
        subprocess.run(["mount", "-o", "remount,size=4m", str(work)], check=True)
        run(SFT, base, demos, tmp_path)
    finally:
        subprocess.run(["umount", "--lazy", str(work)], check=True)
    assert content_digest(tmp_path / "out") == content_digest(trained.out)


def test_ctrl_c_comes_through(base, demos, tmp_path):
    def interrupt(metrics, step):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(SFT, base, demos, tmp_path, log=interrupt)


def test_every_example_is_seen_once_before_any_is_seen_again():
    from tasks.train.examples import draw

    order = draw(10, 25, seed=3)
    assert sorted(order[:10]) == sorted(order[10:20]) == list(range(10))
    assert order[:10] != order[10:20]
    assert len(set(NAMES)) == 16
