"""Models in the form of CTranslate2: small, fast on CPUs, and run without torch or transformers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from assertkd.errors import UserError
from assertkd.layout import ModelLayout
from assertkd.models.loading import NO_TOKENIZER, loading
from assertkd.models.model_folder import read_object
from assertkd.models.text_generator import TextGenerator

DESCRIPTION = "export.json"
"""Stands in every export. It is written last, so that a folder that has it is whole."""

TOKENIZER = "tokenizer"
"""The tokenizer's folder in an export. Not the export's own folder, since both have a `config.json`."""

REMEDY = "Export the model again: assertkd export STUDENT FOLDER."


@dataclass(frozen=True, slots=True)
class ExportDescription:
    """What an export says of itself.

    Attributes:
        format: `ctranslate2`.
        quantization: `float32` or `int8`.
        compute_type: likewise: what it computes in, whatever its weights are stored in.
        parameters: weights of the model, shared ones counted once.
        max_input_len: longest input that the model was trained for, in tokens.
        max_output_len: longest output likewise.
        eos_token_id: the tokenizer's end token.
        source: the model's folder.
        end_token_ids: all tokens that end an output; empty for `eos_token_id` alone.
        decoder_only: whether the model continues its inputs.
    """

    format: str
    quantization: str
    compute_type: str
    parameters: int
    max_input_len: int
    max_output_len: int
    eos_token_id: int
    source: str
    end_token_ids: tuple[int, ...] = ()
    decoder_only: bool = False


def is_export(folder: Path) -> bool:
    """Return whether a folder holds an exported model."""
    return (folder / DESCRIPTION).is_file()


def describe_export(folder: Path) -> ExportDescription:
    """Return what an export says of itself.

    Raises:
        UserError: the folder holds none, or a damaged one.
    """
    if not is_export(folder):
        raise UserError(f"{folder}: holds no exported model ({DESCRIPTION} is missing)", REMEDY)
    content = read_object(folder / DESCRIPTION)
    ends = content.get("end_token_ids", [])
    try:
        wrong = [
            one.name
            for one in fields(ExportDescription)
            if one.type in (int, str) and type(content[one.name]) is not one.type
        ]
        if type(content.get("decoder_only", False)) is not bool:
            wrong.append("decoder_only")
        if wrong or not isinstance(ends, list) or not all(type(one) is int for one in ends):
            raise TypeError(f"{(*wrong, 'end_token_ids')[0]} has another type")
        return ExportDescription(**content | {"end_token_ids": tuple(ends)})
    except (KeyError, TypeError) as fault:
        raise UserError(f"{folder / DESCRIPTION}: does not describe an export ({fault})", REMEDY) from None


class ExportedTokenizer:
    """`tokenizer.json` of a folder, as `prompts.PromptTokenizer`.

    Args:
        folder: that holds the file.
        eos_token_id: the end token, which the file does not name.

    Raises:
        UserError: the file is missing.
    """

    def __init__(self, folder: Path, eos_token_id: int) -> None:
        file = ModelLayout(folder).tokenizer
        if not file.is_file():
            raise UserError(f"{file}: no such file", REMEDY)
        with loading(file, NO_TOKENIZER):
            self._tokenizer: Any = Tokenizer.from_file(str(file))
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self.eos_token_id = eos_token_id
        config = ModelLayout(folder).tokenizer_config
        self.init_kwargs: Mapping[str, Any] = read_object(config) if config.is_file() else {}

    def get_vocab(self) -> dict[str, int]:
        """Return token to id, special tokens included."""
        return dict(self._tokenizer.get_vocab())

    def __call__(self, text: str, split_special_tokens: bool = False, **_: Any) -> dict[str, Any]:
        """Return the `input_ids` of a text and its `offset_mapping`, no special token added."""
        self._tokenizer.encode_special_tokens = split_special_tokens
        encoded = self._tokenizer.encode(text, add_special_tokens=False)
        return {"input_ids": encoded.ids, "offset_mapping": encoded.offsets}

    def decode(self, ids: Sequence[int], /, **_: Any) -> str:
        """Return the text of ids, special tokens left out."""
        return str(self._tokenizer.decode(list(ids), skip_special_tokens=True))

    def tokens(self, ids: Sequence[int]) -> list[str]:
        """Return ids of the vocabulary as tokens."""
        return [self._tokenizer.id_to_token(one) for one in ids]

    def ids(self, tokens: Sequence[str]) -> list[int]:
        """Return tokens as ids; those that pad a model's vocabulary beyond the tokenizer's are left out."""
        ids = (self._tokenizer.token_to_id(token) for token in tokens)
        return [one for one in ids if one is not None]


class ExportedModel(TextGenerator):
    """An exported model and its tokenizer, on the CPU.

    Args:
        folder: the export.
        threads: that compute.

    Raises:
        UserError: the folder holds no export, or a damaged one.
    """

    tokenizer: ExportedTokenizer

    def __init__(self, folder: Path, threads: int = 1) -> None:
        # Imported where it is used, since it takes long.
        import ctranslate2

        self.description = describe_export(folder)
        self.tokenizer = ExportedTokenizer(folder / TOKENIZER, self.description.eos_token_id)
        self.parameters = self.description.parameters
        with loading(folder, "the export could not be loaded", f" {REMEDY}"):
            kind = ctranslate2.Generator if self.description.decoder_only else ctranslate2.Translator
            self._model: Any = kind(
                str(folder), device="cpu", compute_type=self.description.compute_type, intra_threads=threads
            )
            self._ends = self.tokenizer.tokens(self.description.end_token_ids or [self.description.eos_token_id])

    def generate_batch(self, batch: Sequence[Sequence[int]], max_new_tokens: int, num_beams: int) -> list[str]:
        """Return the texts of a batch."""
        outputs = self._search(batch, num_beams, max_new_tokens)
        return [self.tokenizer.decode(self.tokenizer.ids(hypotheses[0])) for hypotheses, _ in outputs]

    def best_hypotheses(
        self, encoded_input: Sequence[int], num_beams: int, max_new_tokens: int
    ) -> list[tuple[list[int], float]]:
        """Return the `num_beams` hypotheses of beam search for one input, best first.

        Each is its token ids, the end token left out, and its score: the mean log-probability of its tokens, the end
        token included, in nats; at most 0.
        """
        [(hypotheses, scores)] = self._search(
            [encoded_input], num_beams, max_new_tokens, num_hypotheses=num_beams, return_scores=True
        )
        return list(zip(map(self.tokenizer.ids, hypotheses), scores, strict=True))

    def _search(
        self, batch: Sequence[Sequence[int]], num_beams: int, max_new_tokens: int, **options: Any
    ) -> list[tuple[list[list[str]], list[float]]]:
        """Return, for each input, hypotheses as tokens, best first, and their scores on request."""
        inputs = [self.tokenizer.tokens(one) for one in batch]
        options |= {"beam_size": num_beams, "end_token": self._ends}
        # By default the end token is excluded at the first step, which also shifts the scores.
        if self.description.decoder_only:
            lengths = {"min_length": 0, "max_length": max_new_tokens, "include_prompt_in_result": False}
            written = self._model.generate_batch(inputs, **options, **lengths)
            return [(one.sequences, one.scores) for one in written]
        lengths = {"min_decoding_length": 0, "max_decoding_length": max_new_tokens, "max_input_length": 0}
        written = self._model.translate_batch(inputs, **options, **lengths)
        return [(one.hypotheses, one.scores) for one in written]
