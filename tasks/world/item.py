"""One question of the sample world, and which side of the evaluation wall it stands on."""

import hashlib
from dataclasses import dataclass

Message = dict[str, str]

HELD_OUT_SHARE = 40  # of 256


@dataclass(frozen=True)
class Item:
    """A prompt with its one right answer, its near misses, and the same facts as plain text."""

    task: str
    lang: str
    instruction: str
    input: str
    output: str
    wordy: str
    near: tuple[str, ...]
    prose: str
    core: str
    history: tuple[tuple[str, str], ...] = ()

    @property
    def messages(self) -> list[Message]:
        """The prompt as chat messages: the conversation so far, or one user message."""
        if self.history:
            return [{"role": role, "content": content} for role, content in self.history]
        return [{"role": "user", "content": user_text(self.instruction, self.input)}]

    @property
    def prompt_key(self) -> str:
        """The text that makes two prompts the same prompt."""
        return "\n".join(f"{message['role']}: {message['content']}" for message in self.messages)

    @property
    def held_out(self) -> bool:
        """Whether only the evaluation set may use this item.

        Decided by a digest of the item's facts alone, whatever the seed or the phrasing, so that neither
        pre-training text nor any training set ever holds the facts of an evaluation question.
        """
        return hashlib.sha256(self.core.encode()).digest()[0] < HELD_OUT_SHARE


def user_text(instruction: str, given: str) -> str:
    """The user message of an Alpaca-form record."""
    return f"{instruction}\n\n{given}" if given else instruction


def matches(answer: str, response: str) -> bool:
    """The answer checker: exact match, blind only to white space around the text."""
    return response.strip() == answer.strip()
