"""The base model and its tokenizer from a folder, and the finished adapter to one."""

import json
import shutil
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.errors import BaseModelMissing

if TYPE_CHECKING:
    from peft import PeftModel
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

MOST_SCORES = 2**26  # attention scores of all layers, about 1 GB with what is kept for the way back
HOW_LOADED = ("is_local", "local_files_only", "name_or_path")  # what transformers notes about this machine


def load_tokenizer(base: Path) -> "PreTrainedTokenizerBase":
    """The tokenizer in `base`, padding with the end token if it has no other.

    Raises:
        BaseModelMissing: there is none.
    """
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(base, local_files_only=True)
    except (OSError, ValueError) as error:
        raise unusable(base, "tokenizer", error) from error
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def load_base(base: Path, device: str, sequences: int, tokens: int) -> "PreTrainedModel":
    """The model in `base`: float32 on a CPU, bfloat16 on a GPU, where the adapter alone is kept in float32.

    On a CPU attention is written out ("eager") where all its scores for `sequences` of `tokens` fit `MOST_SCORES`:
    plain matrix products, which `fast_products` speeds up. Elsewhere it is torch's fused kernel.

    Raises:
        BaseModelMissing: there is none, or it is not safetensors.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    warnings.filterwarnings(
        "ignore", message="`is_gradient_checkpointing`", category=FutureWarning
    )  # PEFT 0.21 asks it
    try:
        config = AutoConfig.from_pretrained(base, local_files_only=True)
        text = config.get_text_config()
        scores = text.num_hidden_layers * text.num_attention_heads * sequences * tokens**2
        return AutoModelForCausalLM.from_pretrained(
            base,
            config=config,
            dtype=torch.bfloat16 if device == "cuda" else torch.float32,
            attn_implementation="eager" if device == "cpu" and scores <= MOST_SCORES else "sdpa",
            local_files_only=True,
            use_safetensors=True,
        )
    except (OSError, ValueError) as error:
        raise unusable(base, "model", error) from error


def unusable(base: Path, part: str, error: Exception) -> BaseModelMissing:
    """The error for a folder that holds no base model."""
    cause = str(error).strip().splitlines()[0]
    return BaseModelMissing(f"{base} holds no {part} that can be loaded ({cause}). Correct base_model in the recipe.")


def save_adapter(model: "PeftModel", tokenizer: "PreTrainedTokenizerBase", base: Path, out: Path) -> None:
    """Write the adapter `default` to `out` with the tokenizer and chat template: the same bytes for the same weights.

    The folder appears complete or not at all, names no path of this machine, and loads with plain PEFT.
    """
    aside = out.with_name(f"{out.name}.unfinished")
    shutil.rmtree(aside, ignore_errors=True)
    model.save_pretrained(str(aside), selected_adapters=["default"], save_embedding_layers=False)
    (aside / "README.md").unlink(missing_ok=True)  # PEFT's card template, empty
    path = aside / "adapter_config.json"
    config = json.loads(path.read_text("utf-8"))
    config["base_model_name_or_path"] = public_name(base)
    config["target_modules"] = sorted(config["target_modules"])  # a set, in the order of this process's string hashes
    path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    tokenizer.save_pretrained(aside)
    path = aside / "tokenizer_config.json"
    kept = {k: v for k, v in json.loads(path.read_text("utf-8")).items() if k not in HOW_LOADED}
    path.write_text(json.dumps(kept, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    shutil.rmtree(out, ignore_errors=True)
    aside.rename(out)


def public_name(base: Path) -> str:
    """What the base is called elsewhere: org/name for a snapshot of the hub's cache, else the folder's name."""
    repository = base.parent.parent.name
    if base.parent.name == "snapshots" and repository.startswith("models--"):
        return repository.removeprefix("models--").replace("--", "/", 1)
    return base.resolve().name
