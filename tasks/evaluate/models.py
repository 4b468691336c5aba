"""Load whatever is to be evaluated: a base, a base with an adapter, or a merged or quantized folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.errors import ModelMissing

if TYPE_CHECKING:
    from peft import PeftModel
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


@dataclass(frozen=True)
class ModelFiles:
    """Where a model's files are: `base`, `base` and `adapter`, or `model`, a folder that is complete by itself."""

    base: Path | None = None
    adapter: Path | None = None
    model: Path | None = None

    def __post_init__(self) -> None:
        if (self.base is None) == (self.model is None) or (self.adapter is not None and self.base is None):
            raise ModelMissing(f"{self}: give base, base and adapter, or model alone.")
        for folder in (self.base, self.adapter, self.model):
            if folder is not None and not folder.is_dir():
                raise ModelMissing(f"{folder}: no such model folder. Run  pawl nightly  to make it, or name another.")


def load_model(files: ModelFiles, device: str) -> tuple[PreTrainedModel | PeftModel, PreTrainedTokenizerBase]:
    """The network in evaluation mode on `device` ("cpu" or "cuda") and the tokenizer that belongs to it.

    Float32 on CPU; on a GPU the precision that the weights are stored in. Nothing is fetched from a network, no code
    from a model folder is run, and only safetensors are read. An adapter's own tokenizer goes before its base's.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = files.model or files.base
    network = AutoModelForCausalLM.from_pretrained(
        folder,
        dtype=torch.float32 if device == "cpu" else "auto",
        device_map={"": device},
        local_files_only=True,
        use_safetensors=True,
    )
    if files.adapter is not None:
        from peft import PeftModel

        network = PeftModel.from_pretrained(network, str(files.adapter), torch_device=device, use_safetensors=True)
    home = files.adapter if files.adapter and (files.adapter / "tokenizer_config.json").is_file() else folder
    return network.eval(), AutoTokenizer.from_pretrained(home, local_files_only=True)
