"""The model that MLflow serves: chat messages in, a chat completion out. It travels inside every registered version.

MLflow copies this file into the artifact ("models from code", so nothing is pickled) and runs it wherever the model is
loaded. It must therefore import nothing of Pawl.

A plain PythonModel, because MLflow's ChatModel fills an absent temperature with 1.0 (greedy answers could not be the
default) and loads the whole model to save it; ResponsesAgent speaks another protocol.
"""

import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mlflow.exceptions import MlflowException
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel, PythonModelContext

OPTIONS = ("temperature", "max_tokens", "top_p", "stop")
ROLES = ("system", "user", "assistant", "tool")


class Chat(PythonModel):
    """A PEFT adapter on its base, or a merged and quantized model; the chat template travels with it."""

    _skip_type_hint_validation = True  # the signature says what comes in; without this MLflow warns at every load

    def load_context(self, context: PythonModelContext) -> None:
        """Load from the artifact's own files; only a base that was given as a hub id is looked up by name."""
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        config = context.model_config
        files = Path(context.artifacts["model"])
        device = "cuda" if torch.cuda.is_available() else "cpu"
        self.name = str(config["name"])
        if config["kind"] == "adapter":
            self.model = load_adapter(files, context.artifacts.get("base"), config, device)
        else:
            self.model = AutoModelForCausalLM.from_pretrained(files, dtype="auto", device_map={"": device})
        self.model.eval()
        has_tokenizer = (files / "tokenizer_config.json").is_file()
        self.tokenizer = AutoTokenizer.from_pretrained(
            files if has_tokenizer else context.artifacts.get("base", config["base_name"]),
            revision=None if has_tokenizer or "base" in context.artifacts else config["base_revision"],
        )

    def predict(
        self,
        context: PythonModelContext,
        model_input,  # pyrefly: ignore[implicit-any-parameter]  # MLflow would take a type here for the signature
        params: Mapping[str, Any] | None = None,
    ) -> Any:
        """Answer one conversation, or one a row.

        Args:
            model_input: {"messages": [{"role", "content"}, …]}, also with OPTIONS beside "messages", a list of such
                mappings, or a data frame with these columns, which is what MLflow makes of them.
            params: OPTIONS; what stands beside the messages goes first.

        Returns:
            An OpenAI chat completion as a mapping; a list of them for several conversations.
        """
        given = params or {}
        answers = [self.answer(request["messages"], options(request, given)) for request in requests(model_input)]
        return answers[0] if len(answers) == 1 else answers

    def answer(self, messages: Sequence[Mapping[str, Any]], wanted: Mapping[str, Any]) -> dict[str, Any]:
        """Generate one answer: greedy at temperature 0, else sampled."""
        import torch

        prompt = self.tokenizer.apply_chat_template(
            checked(messages), add_generation_prompt=True, return_tensors="pt", return_dict=True
        ).to(self.model.device)
        asked = prompt["input_ids"].shape[1]
        room = self.model.config.max_position_embeddings - asked
        if room < 1:
            limit = self.model.config.max_position_embeddings
            raise refused(f"The conversation has {asked} tokens; this model reads at most {limit - 1}. Shorten it.")
        limit = min(int(wanted["max_tokens"]), room)
        with torch.inference_mode():
            tokens = self.model.generate(
                **prompt,
                **sampling(wanted),
                max_new_tokens=limit,
                pad_token_id=self.tokenizer.pad_token_id,
                eos_token_id=self.tokenizer.eos_token_id,
                stop_strings=list(wanted["stop"]) or None,
                tokenizer=self.tokenizer,
            )[0, asked:]
        text = self.tokenizer.decode(tokens, skip_special_tokens=True).strip()
        ended = len(tokens) < limit or int(tokens[-1]) == self.tokenizer.eos_token_id
        return completion(self.name, text, asked, len(tokens), "stop" if ended else "length")


def load_adapter(files: Path, base: str | None, config: Mapping[str, Any], device: str) -> Any:
    """The adapter on its base: the folder inside the artifact, or the hub model at the commit it was trained on."""
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    where = {"pretrained_model_name_or_path": base or config["base_name"]}
    if base is None:
        where["revision"] = config["base_revision"]
    model = AutoModelForCausalLM.from_pretrained(**where, dtype="auto", device_map={"": device})
    return PeftModel.from_pretrained(model, str(files), torch_device=device)


def requests(model_input: Any) -> Iterator[Mapping[str, Any]]:
    """Conversations in whatever container MLflow hands over."""
    if hasattr(model_input, "to_dict"):  # a pandas data frame
        model_input = model_input.to_dict(orient="records")
    yield from [model_input] if isinstance(model_input, Mapping) else model_input


def options(request: Mapping[str, Any], params: Mapping[str, Any]) -> dict[str, Any]:
    """Generation options: beside the messages, else in params, else the defaults (greedy)."""
    chosen: dict[str, Any] = {"temperature": 0.0, "max_tokens": 256, "top_p": 1.0, "stop": []}
    if request.get("stream") is True:
        raise refused("This model does not stream; send the request without stream.")
    for source in (params, request):
        chosen |= {key: source[key] for key in OPTIONS if key in source and present(source[key])}
    if isinstance(chosen["stop"], str):
        chosen["stop"] = [chosen["stop"]]
    chosen["stop"] = [str(text) for text in chosen["stop"]]
    if float(chosen["temperature"]) < 0 or int(chosen["max_tokens"]) < 1 or not 0 < float(chosen["top_p"]) <= 1:
        raise refused(f"temperature must be 0 or more, max_tokens 1 or more, top_p in (0, 1]; got {chosen}")
    return chosen


def present(value: Any) -> bool:
    """False for None and for the NaN that a data frame puts in an empty cell."""
    return value is not None and not (isinstance(value, float) and value != value)  # noqa: PLR0124


def sampling(wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of `generate`; every sampling setting of a generation_config.json is overridden."""
    if float(wanted["temperature"]) == 0:
        return {"do_sample": False, "temperature": None, "top_p": None, "top_k": None}
    return {
        "do_sample": True,
        "temperature": float(wanted["temperature"]),
        "top_p": float(wanted["top_p"]),
        "top_k": 0,
    }


def checked(messages: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Messages as plain mappings of role and text."""
    plain = [{"role": str(m.get("role", "")), "content": m.get("content")} for m in messages]
    wrong = [m for m in plain if m["role"] not in ROLES or not isinstance(m["content"], str)]
    if not plain or wrong:
        raise refused(f"messages must be a list of role ({', '.join(ROLES)}) and text; got {wrong or 'none'}")
    return [{"role": m["role"], "content": str(m["content"])} for m in plain]


def refused(why: str) -> MlflowException:
    """The caller's mistake; MLflow's server answers it with status 400 and these words."""
    return MlflowException.invalid_parameter_value(why)


def completion(name: str, text: str, asked: int, made: int, finish: str) -> dict[str, Any]:
    """An OpenAI chat completion. Source: platform.openai.com/docs/api-reference/chat/object."""
    return {
        "id": f"chatcmpl-{uuid.uuid4().hex}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": name,
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish}],
        "usage": {"prompt_tokens": asked, "completion_tokens": made, "total_tokens": asked + made},
    }


set_model(Chat())
