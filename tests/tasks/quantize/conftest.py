"""The tiny base, an adapter on it, and both merged: made once for all tests of this folder."""

from pathlib import Path

import pytest

from tasks.quantize.merge import merge

TINY = Path(__file__).resolve().parents[3] / "data" / "base" / "tiny"


@pytest.fixture(scope="session")
def tiny() -> Path:
    import torch

    torch.set_num_threads(1)  # faster than two for a model of this size, much faster on a busy machine
    return TINY


@pytest.fixture(scope="session")
def adapter(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A LoRA on every linear layer whose weights are random, so that it changes every logit."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(1)
    base = AutoModelForCausalLM.from_pretrained(tiny, dtype=torch.float32)
    config = LoraConfig(r=4, lora_alpha=8, target_modules="all-linear", init_lora_weights=False, task_type="CAUSAL_LM")
    folder = tmp_path_factory.mktemp("adapter")
    get_peft_model(base, config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def merged(tiny: Path, adapter: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("merged") / "model"
    merge(tiny, adapter, out)
    return out
