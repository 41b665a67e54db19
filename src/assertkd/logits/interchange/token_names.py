"""Which token of the run's tokenizer a server means by an id, a text, or bytes."""

import logging
import re
import threading
from collections import defaultdict
from collections.abc import Mapping
from functools import cached_property

from transformers import PreTrainedTokenizerFast

from assertkd.models.token_alignment import TokenBytes

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

    def __init__(self, tokenizer: PreTrainedTokenizerFast) -> None:
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
        text: str = self._tokenizer.decode([identity], skip_special_tokens=False, clean_up_tokenization_spaces=False)
        return text

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
        # A decoder may leave out the blank before a word that a server writes.
        found = self._by_text.get(name) or self._by_bytes.get(name.encode(errors="surrogatepass"))
        return found or ([self._vocabulary[name]] if name in self._vocabulary else [])

    @cached_property
    def _vocabulary(self) -> Mapping[str, int]:
        entries: dict[str, int] = self._tokenizer.get_vocab()
        return entries

    @cached_property
    def _by_text(self) -> Mapping[str, list[int]]:
        named = defaultdict(list)
        for identity in self._vocabulary.values():
            named[self.text(identity)].append(identity)
        return dict(named)

    @cached_property
    def _by_bytes(self) -> Mapping[bytes, list[int]]:
        spelt, named = TokenBytes(self._tokenizer).spelt, defaultdict(list)
        for identity in self._vocabulary.values():
            raw = spelt[identity]
            named[self.text(identity).encode() if raw is None else raw].append(identity)
        return dict(named)
