"""A store as text: its manifest, its size, and the teacher's likeliest tokens for one example."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from assertkd.batching.distributions import BucketedDistribution, FullDistribution, TeacherView
from assertkd.errors import UserError
from assertkd.logits.interchange.lines import read_interchange
from assertkd.logits.store.reader import NO_LIMIT, StoreReader, stored_predictions, stored_target
from assertkd.prompts.prompt import Prompt

SHOWN_IDS = 3
SHOWN_TOKENS = 5


@dataclass(frozen=True, slots=True)
class Position:
    """The teacher's distribution at one target token, at temperature 1.

    Attributes:
        rank: the token's, 1 for the likeliest; None where the store keeps likelier tokens alone.
        probability: the token's; None likewise.
        top: the likeliest token ids with their probabilities, likeliest first.
        tail: probability of all tokens that the store does not keep.
    """

    rank: int | None
    probability: float | None
    top: list[tuple[int, float]]
    tail: float


def positions(view: TeacherView, target_ids: Sequence[int], count: int = SHOWN_TOKENS) -> Iterator[Position]:
    """Yield the teacher's distribution at each target token of an example, with the `count` likeliest tokens."""
    for row, gold in enumerate(target_ids):
        ids, log_p, log_tail = _sorted_row(view, row)
        places = (ids == gold).nonzero()
        place = int(places[0, 0]) if len(places) else None
        # Equal probabilities share the better rank, as sorting leaves their order open.
        rank = None if place is None else int((log_p > log_p[place]).sum()) + 1
        yield Position(
            rank=rank,
            probability=None if place is None else float(log_p[place].exp()),
            top=list(zip(ids[:count].tolist(), log_p[:count].exp().tolist(), strict=True)),
            tail=float(log_tail.exp()),
        )


def _sorted_row(view: TeacherView, row: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return the kept token ids (K,), their log-probabilities (K,) in descending order, and the tail's, a scalar."""
    rows = slice(row, row + 1)
    if isinstance(view, FullDistribution):
        log_p, ids = torch.log_softmax(view.logits(rows)[0].double(), dim=-1).sort(descending=True, stable=True)
        return ids, log_p, torch.tensor(-torch.inf)
    assert isinstance(view, BucketedDistribution)
    buckets = view.buckets(rows, 1.0)
    log_p, order = buckets.log_p[0].double().sort(descending=True, stable=True)
    kept = log_p > -torch.inf
    return buckets.ids[0][order][kept], log_p[kept], buckets.log_tail[0]


def format_store(reader: StoreReader) -> str:
    """Return the store's manifest and sizes as lines of text."""
    manifest = reader.manifest
    identity = manifest.identity
    parameters = ", ".join(f"{name} {value}" for name, value in identity.parameters.items())
    size = sum(file.stat().st_size for file in reader.folder.iterdir() if file.is_file())
    shards = sum(shard.bytes for shard in manifest.shards)
    ids = islice(reader.ids(), SHOWN_IDS)
    facts = {
        "codec": identity.codec + (f" ({parameters})" if parameters else ""),
        "vocabulary": f"{identity.vocab_size} entries",
        "hidden size": identity.hidden_size if reader.codec.keeps_head else None,
        "temperatures": ", ".join(f"{one:g}" for one in identity.temperatures) or None,
        "examples": f"{manifest.rows:,} (first: {', '.join(ids)})",
        "tokens": f"{manifest.tokens:,}, {manifest.tokens / max(1, manifest.rows):.1f} an example",
        "bytes": f"{size:,}, {size / max(1, manifest.tokens):.1f} a token; "
        f"{shards / max(1, manifest.tokens):.1f} in shards alone",
        "head": f"SHA-256 {identity.head_sha256}" if identity.head_sha256 else None,
        **{name: f"SHA-256 {digest}" for name, digest in identity.provenance.model_dump().items()},
    }
    lines = [str(reader.folder), *(f"  {name:<13}{fact}" for name, fact in facts.items() if fact is not None)]
    lines += [
        f"  {shard.file}  {shard.rows} examples, {shard.tokens:,} tokens, {shard.bytes:,} bytes, "
        f"SHA-256 {shard.sha256[:12]}…"
        for shard in manifest.shards
    ]
    return "\n".join(lines)


def format_example(reader: StoreReader, example_id: str, tokenizer: PreTrainedTokenizerFast, records: Path) -> str:
    """Return one example as a table: each target token with its rank and probability, and the likeliest five.

    The tokenizer is that of the store's run; `records` is the split's corpus file, or an interchange file.

    Raises:
        UserError: store or records hold no such example, or its target is neither its assertion nor the prediction.
    """
    line = next((line for line in read_interchange(records) if line.id == example_id), None)
    if line is None:
        raise UserError(f"{records}: holds no record {example_id!r}", "Name one of its ids: --example ID.")
    prediction = line.prediction
    if prediction is None:
        prediction = stored_predictions(reader.folder.parent, reader.folder.name).get(example_id)
    prompt = Prompt(tokenizer, NO_LIMIT, NO_LIMIT)
    target, target_ids = stored_target(reader, prompt, example_id, (line.assertion, prediction))
    view = reader.collate_views([reader.read(example_id, target_ids)])
    names = [_format_token(tokenizer, token) for token in target_ids]
    width = max(map(len, names))
    rows = [f"{example_id}: {line.assertion}"]
    if target != line.assertion:
        rows.append(f"  target, the teacher's prediction: {target}")
    rows.append(f"  {'token':<{width}}  rank  probability  likeliest")
    for name, position in zip(names, positions(view, target_ids), strict=True):
        rank = "-" if position.rank is None else str(position.rank)
        probability = "-" if position.probability is None else f"{position.probability:.4f}"
        top = "  ".join(f"{_format_token(tokenizer, token)} {p:.4f}" for token, p in position.top)
        tail = f"  (others {position.tail:.4f})" if position.tail else ""
        rows.append(f"  {name:<{width}}  {rank:>4}  {probability:>11}  {top}{tail}")
    return "\n".join(rows)


def _format_token(tokenizer: PreTrainedTokenizerFast, token: int) -> str:
    """Return a token in quotes, blanks kept; by its name where it is part of a character or beyond the tokenizer."""
    if token >= len(tokenizer):
        return f"#{token}"
    text = str(tokenizer.decode([token], clean_up_tokenization_spaces=False))
    return repr(str(tokenizer.convert_ids_to_tokens(token)) if "\ufffd" in text else text)
