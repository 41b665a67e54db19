"""The tokenizer that teacher and students share: loaded, or trained on the corpus."""

from collections.abc import Iterable
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from assertkd.errors import UserError

GAP = "<extra_id_0>"
"""T5's first sentinel: the token that stands in a model input where the assertion goes."""


WORDS_OF_NAMES = r"\p{Lu}?\p{Ll}+|\p{Lu}+(?!\p{Ll})|\p{N}"
"""What no piece reaches across: the words of a camel-case name, and single digits. Signs and blanks between words are
pieces of their own, so that a word is the same piece wherever it stands. A small model then copies names instead of
learning each in every surrounding, and numbers digit by digit."""


def train_tokenizer(texts: Iterable[str], vocab_size: int) -> PreTrainedTokenizerFast:
    """Return a byte-level BPE tokenizer trained on `texts`.

    Every text can be encoded and decoded without loss, since the alphabet is the 256 bytes.

    Args:
        texts: training texts.
        vocab_size: entries at most; fewer where `texts` hold too few different words.
    """
    special = ["<pad>", "</s>", "<unk>", GAP]
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(WORDS_OF_NAMES), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        eos_token="</s>",
        unk_token="<unk>",
        additional_special_tokens=[GAP],
        clean_up_tokenization_spaces=False,
    )


def load_tokenizer(name: str | Path) -> PreTrainedTokenizerFast:
    """Return the tokenizer of a hub name or folder.

    Raises:
        UserError: there is none, or it lacks a padding or an end token.
    """
    try:
        tokenizer = AutoTokenizer.from_pretrained(str(name), trust_remote_code=False)
    except (OSError, ValueError, KeyError) as fault:
        raise UserError(
            f"{name}: no tokenizer could be loaded ({_first_line(fault)})",
            "Check the name of the model or folder, and that this machine has it or can reach the hub.",
        ) from fault
    if tokenizer.pad_token_id is None or tokenizer.eos_token_id is None:
        raise UserError(
            f"{name}: the tokenizer has no padding token or no end token",
            "Use the tokenizer of a T5-family sequence-to-sequence model.",
        )
    return tokenizer


def save_tokenizer(tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Write the tokenizer to `folder` in the transformers form."""
    tokenizer.save_pretrained(str(folder))


def _first_line(fault: BaseException) -> str:
    return str(fault).strip().splitlines()[0] if str(fault).strip() else type(fault).__name__
