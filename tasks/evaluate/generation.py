"""The harness's Hugging Face backend around a network that is already loaded. Imported only for an evaluation."""

from typing import Any

import jinja2
import torch
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM
from transformers import LogitsProcessor, LogitsProcessorList, PreTrainedModel, PreTrainedTokenizerBase

from tasks.errors import EvaluationFailed


class GreedyChat(HFLM):
    """Answers conversations greedily, in length-sorted left-padded batches.

    Differs from its parent where the parent goes on in silence: a chat template that refuses a conversation, a prompt
    cut to fit the context, logits that are not finite, and a model whose generation settings do not name the end token.
    """

    def __init__(self, network: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, batch_size: int) -> None:
        if tokenizer.chat_template is None:
            raise EvaluationFailed(
                f"{tokenizer.name_or_path}: the tokenizer has no chat template, so no conversation can be put to the "
                "model. Add chat_template.jinja to the base model's folder, or name a base that has one."
            )
        super().__init__(pretrained=network, tokenizer=tokenizer, batch_size=batch_size, add_bos_token=False)

    def apply_chat_template(self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True) -> str:
        try:
            return self.tokenizer.apply_chat_template(
                chat_history, tokenize=False, add_generation_prompt=add_generation_prompt
            )
        except jinja2.exceptions.TemplateError as error:
            roles = ", ".join(turn["role"] for turn in chat_history)
            raise EvaluationFailed(
                f"The chat template refuses a conversation of roles {roles}: {error}. "
                "Change the evaluation set or the template."
            ) from error

    def generate_until(self, requests: list[Instance], disable_tqdm: bool = False) -> list[str]:
        self.refuse_long_prompts(requests)
        return super().generate_until(requests, disable_tqdm=True)

    def refuse_long_prompts(self, requests: list[Instance]) -> None:
        """Raises EvaluationFailed when a prompt and the longest answer do not fit the model's context."""
        lengths = self.tokenizer([r.args[0] for r in requests], add_special_tokens=False, return_length=True)["length"]
        room = [self.max_length - r.args[1]["max_gen_toks"] for r in requests]
        long = [r.doc["id"] for r, length, most in zip(requests, lengths, room, strict=True) if length > most]
        if long:
            raise EvaluationFailed(
                f"{len(long)} of {len(requests)} evaluation prompts leave no room for an answer in the model's "
                f"{self.max_length} tokens (first: {long[0]}). Lower evaluate.max_new_tokens, shorten the prompts, or "
                "use a base with a longer context."
            )

    def _model_generate(
        self, context: torch.Tensor, max_length: int, stop: list[str], **generation: Any
    ) -> torch.Tensor:
        return super()._model_generate(
            context,
            max_length,
            stop,
            eos_token_id=self.end_tokens(),
            logits_processor=LogitsProcessorList([FiniteLogits()]),
            **generation,
        )

    def end_tokens(self) -> list[int]:
        """The tokenizer's end token and those of the model's generation settings."""
        named = self.model.generation_config.eos_token_id
        listed = named if isinstance(named, list) else [named]
        return sorted({token for token in (*listed, self.tokenizer.eos_token_id) if token is not None})


class FiniteLogits(LogitsProcessor):
    """Passes scores on, and stops at the first that is not finite: its argmax would look like an answer."""

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> torch.FloatTensor:
        if not torch.isfinite(scores).all():
            raise EvaluationFailed(
                "The model computes logits that are not finite; its answers mean nothing. "
                "Train again with  pawl nightly --force"
            )
        return scores
