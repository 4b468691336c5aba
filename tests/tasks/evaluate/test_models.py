"""Loading whatever is to be evaluated."""

from pathlib import Path

import pytest
import torch

from tasks.errors import ModelMissing
from tasks.evaluate.models import ModelFiles, load_model


def test_a_base_with_an_adapter_computes_something_else_than_the_base(tiny: Path, tmp_path: Path):
    from peft import LoraConfig, get_peft_model

    base, tokenizer = load_model(ModelFiles(base=tiny), "cpu")
    tokens = tokenizer("사과 apple", return_tensors="pt")["input_ids"]
    with torch.inference_mode():
        alone = base(tokens).logits
    config = LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False, task_type="CAUSAL_LM")
    get_peft_model(base, config).save_pretrained(tmp_path)
    adapted, _ = load_model(ModelFiles(base=tiny, adapter=tmp_path), "cpu")
    with torch.inference_mode():
        assert not torch.equal(adapted(tokens).logits, alone)
    assert not adapted.training


def test_an_adapter_s_own_tokenizer_goes_before_its_base_s(tiny: Path, tmp_path: Path):
    from peft import LoraConfig, get_peft_model

    base, tokenizer = load_model(ModelFiles(base=tiny), "cpu")
    get_peft_model(base, LoraConfig(target_modules="all-linear", task_type="CAUSAL_LM")).save_pretrained(tmp_path)
    tokenizer.chat_template = "the adapter's own"
    tokenizer.save_pretrained(tmp_path)
    assert load_model(ModelFiles(base=tiny, adapter=tmp_path), "cpu")[1].chat_template == "the adapter's own"


@pytest.mark.parametrize("parts", [{}, {"adapter"}, {"base", "model"}, {"model", "adapter"}])
def test_a_model_is_a_base_a_base_with_an_adapter_or_a_whole(parts: set[str], tiny: Path):
    with pytest.raises(ModelMissing, match="give base"):
        ModelFiles(**dict.fromkeys(parts, tiny))


def test_a_folder_that_is_not_there_is_named(tmp_path: Path):
    with pytest.raises(ModelMissing, match="gone"):
        ModelFiles(base=tmp_path / "gone")
