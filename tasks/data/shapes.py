"""The record shapes that Pawl reads, one small function each: raw JSON object in, canonical fields out."""

import re
from collections.abc import Callable
from typing import Any

from tasks.contracts import DatasetKind

Fields = dict[str, Any]
Shape = Callable[[Fields], Fields]
TURN = re.compile(r"\n\n(Human|Assistant): ?")
SPEAKERS = {"Human": "user", "Assistant": "assistant"}
ROLES = ("system", "user", "assistant")


class ShapeError(ValueError):
    """A JSON value is not a record of its dataset's kind; the message says why."""


def canonical(raw: Any, kind: DatasetKind) -> Fields:
    """The canonical fields of one raw record, without its id.

    Raises:
        ShapeError: not an object, no known shape, or a field of the wrong type.
    """
    if not isinstance(raw, dict):
        raise ShapeError(f"a JSON object is needed, this is {type(raw).__name__}")
    for keys, shape in SHAPES[kind].items():
        if all(key in raw for key in keys):
            return {**shape(raw), "task": label(raw, "task"), "lang": label(raw, "lang")}
    known = " or ".join("{" + ", ".join(keys) + "}" for keys in SHAPES[kind])
    raise ShapeError(f"has the fields {', '.join(map(str, raw)) or '(none)'}; {kind} need {known}")


def alpaca(raw: Fields) -> Fields:
    """{instruction, input?, output}: Taori et al. 2023."""
    return {"prompt": alpaca_prompt(raw), "response": text(raw, "output")}


def alpaca_question(raw: Fields) -> Fields:
    """{instruction, input?}: an Alpaca record whose output, if any, is not used."""
    return {"prompt": alpaca_prompt(raw)}


def alpaca_evaluation(raw: Fields) -> Fields:
    """{instruction, input?, output}, the output being the right answer."""
    return {"prompt": alpaca_prompt(raw), "answer": text(raw, "output")}


def conversation(raw: Fields) -> Fields:
    """{messages}: the last message is the response."""
    turns = messages(raw, "messages")
    if len(turns) < 2 or turns[-1]["role"] != "assistant":
        raise ShapeError("messages must end with an answer of role assistant, after at least one other message")
    return {"prompt": turns[:-1], "response": turns[-1]["content"]}


def open_conversation(raw: Fields) -> Fields:
    """{messages}: everything before an answer at the end, if there is one."""
    turns = messages(raw, "messages")
    return {"prompt": turns[:-1] if len(turns) > 1 and turns[-1]["role"] == "assistant" else turns}


def completion(raw: Fields) -> Fields:
    """{prompt, completion}; the prompt is a text or messages."""
    return {"prompt": prompt(raw, "prompt"), "response": answer_text(raw, "completion")}


def response(raw: Fields) -> Fields:
    """{prompt, response}: Pawl's own form."""
    return {"prompt": prompt(raw, "prompt"), "response": answer_text(raw, "response")}


def question(raw: Fields) -> Fields:
    """{prompt}."""
    return {"prompt": prompt(raw, "prompt")}


def question_answer(raw: Fields) -> Fields:
    """{prompt, answer}."""
    return {"prompt": prompt(raw, "prompt"), "answer": text(raw, "answer")}


def ranked(raw: Fields) -> Fields:
    """{prompt, responses: [{text, rank}]}, rank 1 the best, or Pawl's own {prompt, responses: [text], ranks}."""
    if not isinstance(raw["responses"], list) or not raw["responses"]:
        raise ShapeError("responses must be a list of {text, rank}")
    if "ranks" in raw:
        rows = [{"text": said, "rank": rank} for said, rank in paired(raw["responses"], raw["ranks"])]
    else:
        rows = raw["responses"]
    for row in rows:
        if not isinstance(row, dict) or type(row.get("rank")) is not int:
            raise ShapeError("every response needs a text and a whole-number rank")
    return {
        "prompt": prompt(raw, "prompt"),
        "responses": [text(row, "text") for row in rows],
        "ranks": [row["rank"] for row in rows],
    }


def preferred(raw: Fields) -> Fields:
    """{chosen, rejected}, with or without {prompt}: texts, messages, or hh-rlhf transcripts (Bai et al. 2022)."""
    sides = [raw["chosen"], raw["rejected"]]
    if "prompt" in raw and all(isinstance(side, str) for side in sides):
        return {"prompt": prompt(raw, "prompt"), "responses": sides, "ranks": [1, 2]}
    chosen, rejected = (
        transcript(side) if isinstance(side, str) else checked_messages(side, "chosen and rejected") for side in sides
    )
    if "prompt" in raw:
        asked = prompt(raw, "prompt")
        chosen, rejected = (turns if turns[: len(asked)] == asked else [*asked, *turns] for turns in (chosen, rejected))
    if min(len(chosen), len(rejected)) < 2 or chosen[:-1] != rejected[:-1]:
        raise ShapeError("chosen and rejected answer different prompts")
    if not chosen[-1]["role"] == rejected[-1]["role"] == "assistant":
        raise ShapeError("chosen and rejected must end with an answer of role assistant")
    return {"prompt": chosen[:-1], "responses": [chosen[-1]["content"], rejected[-1]["content"]], "ranks": [1, 2]}


SHAPES: dict[DatasetKind, dict[tuple[str, ...], Shape]] = {
    "demonstrations": {
        ("instruction", "output"): alpaca,
        ("messages",): conversation,
        ("prompt", "response"): response,
        ("prompt", "completion"): completion,
    },
    "comparisons": {("prompt", "responses"): ranked, ("chosen", "rejected"): preferred},
    "prompts": {("prompt",): question, ("messages",): open_conversation, ("instruction",): alpaca_question},
    "evaluation": {("prompt", "answer"): question_answer, ("instruction", "output"): alpaca_evaluation},
}


def alpaca_prompt(raw: Fields) -> list[Fields]:
    """The instruction and, below a blank line, its input, if there is one."""
    asked, given = text(raw, "instruction"), text(raw, "input") if raw.get("input") is not None else ""
    return [{"role": "user", "content": f"{asked}\n\n{given}" if given.strip() else asked}]


def prompt(raw: Fields, key: str) -> list[Fields]:
    """A prompt given as one text or as messages."""
    if isinstance(raw[key], str):
        return [{"role": "user", "content": raw[key]}]
    return messages(raw, key)


def messages(raw: Fields, key: str) -> list[Fields]:
    """The messages under `key`."""
    return checked_messages(raw[key], key)


def checked_messages(value: Any, key: str) -> list[Fields]:
    """[{role, content}, …] with known roles and plain text."""
    if not isinstance(value, list) or not value:
        raise ShapeError(f"{key} must be a list of {{role, content}}")
    for turn in value:
        if not isinstance(turn, dict) or turn.get("role") not in ROLES:
            raise ShapeError(f"every message in {key} needs a role of {', '.join(ROLES)}")
        text(turn, "content")
    return [{"role": turn["role"], "content": turn["content"]} for turn in value]


def transcript(value: str) -> list[Fields]:
    """ "\\n\\nHuman: … \\n\\nAssistant: …" as messages; white space around a turn is not part of it."""
    head, *parts = TURN.split(value if value.startswith("\n\n") else f"\n\n{value}")
    if head.strip() or not parts:
        raise ShapeError('a transcript starts with "Human: "')
    return [{"role": SPEAKERS[who], "content": said.strip()} for who, said in zip(parts[::2], parts[1::2], strict=True)]


def answer_text(raw: Fields, key: str) -> str:
    """A text, or one message of the assistant."""
    if isinstance(raw[key], list) and len(raw[key]) == 1:
        return checked_messages(raw[key], key)[0]["content"]
    return text(raw, key)


def text(raw: Fields, key: str) -> str:
    """The text under `key`."""
    value = raw.get(key)
    if not isinstance(value, str):
        found = f"this is {type(value).__name__}" if key in raw else "it is absent"
        raise ShapeError(f"{key} must be a text, {found}")
    return value


def label(raw: Fields, key: str) -> str:
    """An optional text field; "" when unknown."""
    value = raw.get(key)
    return value.strip() if isinstance(value, str) else ""


def paired(texts: list[Any], ranks: Any) -> list[tuple[Any, Any]]:
    """Each text with its rank."""
    if not isinstance(ranks, list) or len(ranks) != len(texts):
        raise ShapeError("responses and ranks must be lists of one length")
    return list(zip(texts, ranks, strict=True))
