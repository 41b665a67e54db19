"""The tokenizer that settings choose: loaded, or trained on the corpus."""

from collections.abc import Iterable

from transformers import PreTrainedTokenizerFast

from assertkd.models.tokenizer import load_tokenizer, train_tokenizer
from assertkd.models.vocabulary import cut_vocabulary
from assertkd.prompts.prompt import encoded_texts
from assertkd.prompts.prompt_form import KEY, choose_form
from assertkd.records import MARKER, Record
from assertkd.settings import TokenizerSettings
from assertkd.settings.model import SCRATCH


def choose_tokenizer(
    settings: TokenizerSettings, model: str, records: Iterable[Record], *, decoder_only: bool
) -> PreTrainedTokenizerFast:
    """Return the tokenizer of `settings`, its form of inputs chosen.

    Args:
        settings: a name, or the entries of one that is trained.
        model: the model whose own tokenizer it is where `settings` have no name; `scratch` for one that has none.
        records: training records, read only where one is trained or cut to them.
        decoder_only: whether it is for a decoder-only model, where its files do not say so: from scratch, or served.

    Raises:
        UserError: there is no such tokenizer, or it does not have the form of inputs.
    """
    name = settings.name or model
    if name == SCRATCH:
        fields = (field for r in records for field in (r.focal_method, *r.test_method.split(MARKER), r.assertion))
        tokenizer = train_tokenizer((text for text in fields if text.strip()), settings.vocab_size)
    else:
        tokenizer = load_tokenizer(name)
    if settings.prompt is not None or (decoder_only and KEY not in tokenizer.init_kwargs):
        choose_form(tokenizer, settings.prompt)
    if settings.keep == "all" or name == SCRATCH:
        return tokenizer
    return cut_vocabulary(tokenizer, (text for record in records for text in encoded_texts(record)))
