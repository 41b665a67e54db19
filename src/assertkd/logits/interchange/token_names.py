"""Which token of the run's tokenizer a server means by an id, a text, or bytes."""

import logging
import re
import threading
from collections import defaultdict
from collections.abc import Mapping
from functools import cached_property

from assertkd.prompts.prompt import PromptTokenizer

BY_ID = re.compile(r"token_id:(\d{1,10})")
"""An id in place of a text, as vLLM writes it with `return_tokens_as_token_ids`."""

REPLACEMENT = "\ufffd"
"""What a server writes for bytes that are no text by themselves."""

log = logging.getLogger(__name__)


class TokenNames:
    """The names of a tokenizer's tokens, and a count of those that could not be told apart.

    Safe to use from several threads.

    Attributes:
        entries: of the tokenizer.
        unresolved: given tokens whose mass went to the tail, since their name is that of several tokens or of none.
    """

    def __init__(self, tokenizer: PromptTokenizer) -> None:
        self._tokenizer = tokenizer
        self.entries = len(tokenizer.get_vocab())
        self.unresolved = 0
        self._lock = threading.Lock()

    def count_unresolved(self) -> None:
        """Count a given token as unresolved."""
        with self._lock:
            self.unresolved += 1

    def warn_of_unresolved(self) -> None:
        """Say in the log how many given tokens were unresolved; nothing where none was."""
        if self.unresolved:
            log.warning(
                "%d log-probabilities are of tokens that cannot be told from others by what is given, or that the "
                "tokenizer lacks: their mass is in the tails. Ask the server for ids (return_tokens_as_token_ids).",
                self.unresolved,
            )

    def is_id(self, name: str | int) -> bool:
        """Return whether a name is an id, or `token_id:` with one, and not a text."""
        return not isinstance(name, str) or BY_ID.fullmatch(name) is not None

    def text(self, identity: int) -> str:
        """Return the text of a token."""
        return self._tokenizer.decode([identity], skip_special_tokens=False, clean_up_tokenization_spaces=False)

    def ids(self, name: str | int, raw: bytes | None = None) -> list[int]:
        """Return the ids that may be meant: one where it is certain, none where the tokenizer has no such token.

        Args:
            name: an id, a text, or `token_id:` with an id.
            raw: the token's bytes where a server gives them, which tell tokens apart that are no text by themselves.
        """
        if not isinstance(name, str):
            return [name]
        if match := BY_ID.fullmatch(name):
            return [int(match[1])]
        # Servers that know no bytes give those of the text, replacement included.
        is_certain = raw is not None and not (REPLACEMENT in name and raw == name.encode(errors="replace"))
        if is_certain and (found := self._by_bytes.get(raw or b"")):
            return found
        if name in self._by_text:
            return self._by_text[name]
        return [self._vocabulary[name]] if name in self._vocabulary else []

    @cached_property
    def _vocabulary(self) -> Mapping[str, int]:
        return self._tokenizer.get_vocab()

    @cached_property
    def _by_text(self) -> Mapping[str, list[int]]:
        named = defaultdict(list)
        for identity in self._vocabulary.values():
            named[self.text(identity)].append(identity)
        return dict(named)

    @cached_property
    def _by_bytes(self) -> Mapping[bytes, list[int]]:
        byte_of, named = _byte_alphabet(), defaultdict(list)
        for piece, identity in self._vocabulary.items():
            text = self.text(identity)
            raw = bytes(byte_of[sign] for sign in piece) if all(sign in byte_of for sign in piece) else b""
            # A tokenizer that is not of bytes spells its pieces in another way.
            named[raw if raw.decode(errors="replace") == text else text.encode(errors="replace")].append(identity)
        return dict(named)


def _byte_alphabet() -> dict[str, int]:
    """Return the signs by which byte-level tokenizers write bytes (Radford et al. 2019, GPT-2)."""
    visible = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(0x100) if byte not in visible]
    return {chr(byte): byte for byte in visible} | {chr(0x100 + n): byte for n, byte in enumerate(others)}
