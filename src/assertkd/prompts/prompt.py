"""The one place that says how a record becomes model input and target."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from assertkd.errors import UserError
from assertkd.prompts.critical_tokens import critical_pieces
from assertkd.prompts.prompt_form import FormTokenizer, PromptForm, form_of
from assertkd.records import MARKER, PLACEHOLDER_TOKEN, Record

FOCAL_FLOOR = 4
"""A focal method keeps at least 1/FOCAL_FLOOR of the input, if it has as much, before the test is cut."""

LEAST_ROOM = 8
"""An input has at least so many tokens of a record, besides its form."""


@dataclass(frozen=True, slots=True)
class EncodedInput:
    """A record as model input.

    Attributes:
        ids: token ids, those that end an input last.
        cut: how many tokens were left out because the input was longer than allowed.
    """

    ids: list[int]
    cut: int


class PromptTokenizer(FormTokenizer, Protocol):
    """The part of a tokenizer that a prompt uses. `PreTrainedTokenizerFast` has it, and `ExportedTokenizer`."""

    @property
    def eos_token_id(self) -> int:
        """The end token."""

    def __call__(
        self,
        text: str,
        *,
        add_special_tokens: bool,
        split_special_tokens: bool,
        return_offsets_mapping: bool,
        verbose: bool,
    ) -> Mapping[str, Any]:
        """Return the `input_ids` of a text, and on request its `offset_mapping`: start and end of each token."""

    def decode(self, ids: Sequence[int], /, *, skip_special_tokens: bool, clean_up_tokenization_spaces: bool) -> str:
        """Return the text of ids."""


class Prompt:
    """Turns records into token ids: focal method, a blank line, the test with a token in place of the marker.

    The tokens around them are the tokenizer's (`prompt_form`), or none and the end token.
    """

    def __init__(self, tokenizer: PromptTokenizer, max_input_len: int, max_output_len: int) -> None:
        self.tokenizer = tokenizer
        self.max_input_len = max_input_len
        self.max_output_len = max_output_len
        entries = tokenizer.get_vocab()
        self._form = form_of(tokenizer) or PromptForm(
            [], [entries[PLACEHOLDER_TOKEN]] if PLACEHOLDER_TOKEN in entries else self._ids(MARKER), [self._end]
        )

    def encode_input(self, focal_method: str, test_method: str) -> EncodedInput:
        """Return the input of at most `max_input_len` tokens.

        What is over is cut from the focal method's tail, which keeps a quarter of the input, then from the test's head,
        then (only where what follows the marker alone is longer than half of the test's room) from its end. What stands
        next to the marker always stays.

        Raises:
            UserError: the form's tokens leave no room for a record.
        """
        form = self._form
        room = self.max_input_len - sum(map(len, form))
        if room < LEAST_ROOM:
            raise UserError(
                f"data.max_input_len: {self.max_input_len} tokens have no room for a record: the form of inputs "
                f"(tokenizer.prompt) takes {sum(map(len, form))} of them",
                f"Set data.max_input_len to {sum(map(len, form)) + LEAST_ROOM} at least, or choose a shorter form.",
            )
        before, _, after = test_method.partition(MARKER)
        focal = self._ids(_with_blank_line(focal_method))
        left, right = self._ids(before), self._ids(after)
        whole = len(focal) + len(left) + len(right)
        # The placeholder counts as one token of the input of which the focal method keeps its share.
        focal = focal[: max((room + 1) // FOCAL_FLOOR, room - len(left) - len(right))]
        test_room = room - len(focal)
        right = right[: max(test_room // 2, test_room - len(left))]
        left_room = test_room - len(right)
        left = left[max(0, len(left) - left_room) :]
        cut = whole - len(focal) - len(left) - len(right)
        return EncodedInput([*form.start, *focal, *left, *form.placeholder, *right, *form.end], cut)

    def encode_record(self, record: Record) -> EncodedInput:
        """Return the input of a record (see `encode_input`)."""
        return self.encode_input(record.focal_method, record.test_method)

    def encode_target(self, assertion: str) -> list[int]:
        """Return the target's token ids, the end token last, cut to `max_output_len` tokens."""
        return [*self._ids(assertion)[: self.max_output_len - 1], self._end]

    def encode_target_marked(self, assertion: str) -> tuple[list[int], list[bool]]:
        """Return the ids of `encode_target` and, for each, whether it lies inside critical tokens; the end does not.

        A critical token that the cut splits stays marked up to the cut (see `critical_pieces`).
        """
        encoded = self._encoded(assertion, return_offsets_mapping=True)
        room = self.max_output_len - 1
        marks = critical_pieces(assertion, encoded["offset_mapping"][:room])
        return [*encoded["input_ids"][:room], self._end], [*marks, False]

    def target_length(self, assertion: str) -> int:
        """Return the uncut target's length in tokens, the end token included."""
        return len(self._ids(assertion)) + 1

    def decode(self, ids: list[int]) -> str:
        """Return the text of target ids, special tokens left out."""
        return self.tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False).strip()

    @property
    def _end(self) -> int:
        return self.tokenizer.eos_token_id

    def _ids(self, text: str) -> list[int]:
        return list(self._encoded(text)["input_ids"])

    def _encoded(self, text: str, return_offsets_mapping: bool = False) -> Mapping[str, Any]:
        # Code that spells a special token, as "</s>" in HTML, stays text.
        return self.tokenizer(
            text,
            add_special_tokens=False,
            split_special_tokens=True,
            return_offsets_mapping=return_offsets_mapping,
            verbose=False,
        )


def encoded_texts(record: Record) -> tuple[str, ...]:
    """Return the texts of a record that a prompt encodes, each on its own: the parts of its input, and its target."""
    before, _, after = record.test_method.partition(MARKER)
    return _with_blank_line(record.focal_method), before, after, record.assertion


def _with_blank_line(focal_method: str) -> str:
    return focal_method.rstrip() + "\n\n"
