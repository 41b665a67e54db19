"""The tokenizer that teacher and students share: loaded, or trained on the corpus."""

from collections.abc import Iterable
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoTokenizer, PreTrainedTokenizerFast
from transformers.utils import cached_file

from assertkd.errors import UserError
from assertkd.layout import ModelLayout
from assertkd.models.causal.architectures import is_decoder_only
from assertkd.models.codet5p.configuration import CodeT5pConfig
from assertkd.models.hub import located
from assertkd.models.loading import NO_TOKENIZER, loading
from assertkd.models.model_folder import check_files, read_object
from assertkd.models.special_tokens import PAD
from assertkd.prompts.prompt_form import KEY, choose_form
from assertkd.records import PLACEHOLDER_TOKEN

SENTINELS = [f"<extra_id_{number}>" for number in reversed(range(100))]
"""T5's sentinels in the order of their ids."""
SELF_DESCRIBING = ("tokenizer.json", "tokenizer_config.json")
"""Files of a folder that say what kind of tokenizer it holds."""
JAVA = 'assertEquals("a\\t{0}", map.get(k[1] - 2) != null);'
"""Spelt by any tokenizer that can be used here."""

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
        special_tokens=["<pad>", "</s>", "<unk>", PLACEHOLDER_TOKEN],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        eos_token="</s>",
        unk_token="<unk>",
        additional_special_tokens=[PLACEHOLDER_TOKEN],
        clean_up_tokenization_spaces=False,
    )


def load_tokenizer(name: str | Path) -> PreTrainedTokenizerFast:
    """Return the tokenizer of a hub name or folder; a folder with CodeT5's `vocab.json` and `merges.txt` alone will do.

    Beside a decoder-only model or CodeT5+ 2B it pads with the model's padding token or the end token where it has no
    token for that; beside a decoder-only model it has a form of inputs for such a model (`prompt_form`).

    Raises:
        UserError: there is none, it cannot be kept as `tokenizer.json`, it lacks a padding token, an end token or the
            gap's, or it cannot spell Java.
    """
    with loading(name, NO_TOKENIZER):
        if Path(name).is_dir():
            check_files(Path(name))
            files = ModelLayout(Path(name))
            for file in (files.config, files.tokenizer_config, files.tokenizer):
                if file.is_file():
                    read_object(file)
        tokenizer = _loaded(name)
    if not isinstance(tokenizer, PreTrainedTokenizerFast):
        raise UserError(
            f"{name}: {type(tokenizer).__name__} has no tokenizer.json, which finds the places of tokens in a text",
            "Use a model with such a tokenizer, as CodeT5+.",
        )
    with loading(name, NO_TOKENIZER):
        _follow_model(name, tokenizer)
    if tokenizer.pad_token_id is None or tokenizer.eos_token_id is None:
        raise UserError(
            f"{name}: the tokenizer has no padding token or no end token",
            "Use the tokenizer of T5, CodeT5+ or a decoder-only model, in that model's folder.",
        )
    with loading(name, "the tokenizer could not be used"):
        spelt = tokenizer.decode(tokenizer(JAVA).input_ids, skip_special_tokens=True).strip()
    if spelt != JAVA:
        # transformers makes an empty vocabulary of files that it does not know, and says nothing.
        raise UserError(
            f"{name}: the tokenizer cannot spell Java; what comes back differs from what was put in",
            "Use a tokenizer of code, as that of CodeT5+, and check that its vocabulary file is in the folder.",
        )
    return tokenizer


def _loaded(name: str | Path) -> PreTrainedTokenizerFast:
    folder = Path(name)
    if (folder / "merges.txt").is_file() and not any((folder / known).is_file() for known in SELF_DESCRIBING):
        return AutoTokenizer.from_pretrained(str(name), tokenizer_type="roberta", extra_special_tokens=SENTINELS)
    source = located(name)
    try:
        return AutoTokenizer.from_pretrained(source, trust_remote_code=False)
    except TypeError:
        # CodeT5's own files describe each sentinel by an object, which transformers 5 takes no more.
        return AutoTokenizer.from_pretrained(source, trust_remote_code=False, additional_special_tokens=SENTINELS)


def _follow_model(name: str | Path, tokenizer: PreTrainedTokenizerFast) -> None:
    """Give a tokenizer the padding token and the form of inputs of the model in its folder, if it is not T5's kind."""
    file = cached_file(
        located(name),
        ModelLayout(Path(name)).config.name,
        _raise_exceptions_for_missing_entries=False,
        _raise_exceptions_for_connection_errors=False,
    )
    config = {} if file is None else read_object(Path(file))
    decoder_only = is_decoder_only(config.get("model_type"), config.get("architectures"))
    if not decoder_only and config.get("model_type") != CodeT5pConfig.model_type:
        return
    if tokenizer.pad_token_id is None and tokenizer.eos_token_id is not None:
        pad = config.get(PAD)
        tokenizer.pad_token = tokenizer.eos_token if pad is None else tokenizer.convert_ids_to_tokens(pad)
    if decoder_only and KEY not in tokenizer.init_kwargs:
        choose_form(tokenizer, None)
