"""The tokenizer of a saved model, read without transformers."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from tokenizers import Tokenizer

from assertkd.errors import UserError


class SavedTokenizer:
    """`tokenizer.json` of a folder, in the form that `prompts.Prompt` uses."""

    def __init__(self, folder: Path, eos_token_id: int) -> None:
        """Load the tokenizer of a folder; its end token is given, since `tokenizer.json` does not name it.

        Raises:
            UserError: there is none.
        """
        file = folder / "tokenizer.json"
        if not file.is_file():
            raise UserError(f"{file}: no such file", "Name a final_model/ folder of a teacher or a student.")
        self._tokenizer: Tokenizer = Tokenizer.from_file(str(file))
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self.eos_token_id = eos_token_id

    def get_vocab(self) -> dict[str, int]:
        """Return token to id, special tokens included."""
        return dict(self._tokenizer.get_vocab())

    def __call__(self, text: str, split_special_tokens: bool = False, **_: Any) -> dict[str, Any]:
        """Return the `input_ids` of a text and its `offset_mapping`, no special token added."""
        self._tokenizer.encode_special_tokens = split_special_tokens
        encoded = self._tokenizer.encode(text, add_special_tokens=False)
        return {"input_ids": encoded.ids, "offset_mapping": encoded.offsets}

    def tokens(self, ids: Sequence[int]) -> list[str]:
        """Return ids of the vocabulary as the tokens that they stand for."""
        return [cast(str, self._tokenizer.id_to_token(one)) for one in ids]

    def ids(self, tokens: Sequence[str]) -> list[int]:
        """Return tokens of the vocabulary as ids."""
        return [cast(int, self._tokenizer.token_to_id(one)) for one in tokens]

    def decode(self, ids: Sequence[int], **_: Any) -> str:
        """Return the text of ids, special tokens left out."""
        return str(self._tokenizer.decode(list(ids), skip_special_tokens=True))
