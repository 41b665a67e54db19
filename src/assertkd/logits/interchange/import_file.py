"""Stores of logits that are written from interchange lines, in place of a teacher's pass."""

import hashlib
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from assertkd.errors import UserError
from assertkd.files import sha256_of_file
from assertkd.layout import ModelLayout
from assertkd.logits.codecs.codec import Codec
from assertkd.logits.codecs.registry import CODECS, build_codec
from assertkd.logits.codecs.support import TopLogprobs
from assertkd.logits.interchange.lines import InterchangeLine, read_interchange
from assertkd.logits.interchange.token_names import TokenNames
from assertkd.logits.store.manifest import Manifest, Provenance
from assertkd.logits.store.writer import StoreWriter
from assertkd.models.tokenizer import load_tokenizer
from assertkd.prompts.prompt import Prompt
from assertkd.records import LOGPROBS

NO_HEAD = 1
"""Width of the hidden vectors in the manifest of a store that came without any."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ExternalExample:
    """A line whose logits, which must be for the tokens `target_ids`, go into the store of a split."""

    line: InterchangeLine
    split: str
    target_ids: list[int]


def import_file(
    file: Path,
    tokenizer_name: str,
    output: Path,
    codec: str = "dense",
    max_output_len: int = 128,
    temperatures: Sequence[float] = (),
) -> Manifest:
    """Write one store from one file, every line of which must be sound, and return its manifest.

    Args:
        file: an interchange file.
        tokenizer_name: hub name or folder of the tokenizer that the teacher had.
        output: the store's folder; a store that stands there is replaced.
        codec: name of a codec that takes logits.
        max_output_len: longest target that the teacher was fed, in tokens.
        temperatures: those that `topk` keeps the tail's mass at, besides 1.

    Raises:
        UserError: a line is not what it should be (file:line is named), or the codec takes no logits.
    """
    tokenizer = load_tokenizer(tokenizer_name)
    prompt = Prompt(tokenizer, max_output_len, max_output_len)
    digest = sha256_of_files([file])
    # A tokenizer from the hub has no file at hand; saved, it has the one that a run's corpus would have.
    with TemporaryDirectory() as folder:
        tokenizer.save_pretrained(folder)
        tokenizer_digest = sha256_of_file(ModelLayout(folder).tokenizer)
    provenance = Provenance(tokenizer=tokenizer_digest, teacher=digest, corpus=digest)
    return write_stores(
        (ExternalExample(line, output.name, _target_ids(line, prompt)) for line in each_once(read_interchange(file))),
        {output.name: (output, provenance)},
        codec,
        {"temperatures": temperatures} if temperatures else {},
        names=TokenNames(tokenizer),
        temperatures=temperatures,
    )[output.name]


def write_stores(
    examples: Iterable[ExternalExample],
    stores: Mapping[str, tuple[Path, Provenance]],
    codec: str,
    parameters: Mapping[str, Any],
    *,
    names: TokenNames,
    temperatures: Sequence[float],
    examples_per_shard: int = 1024,
) -> dict[str, Manifest]:
    """Write the examples to their stores and return each store's manifest; nothing is finished before all are read.

    Args:
        examples: each id once, in an order that is the same whenever this is run.
        stores: split name to the store's folder and what it comes from.
        codec: name of a codec that takes logits.
        parameters: the codec's.
        names: the tokenizer's tokens.
        temperatures: those that the distillation is configured for, for the manifest.
        examples_per_shard: examples a shard.

    Raises:
        UserError: there are no examples, the codec takes no logits, or a line's logits are not what they should be.
    """
    remaining = iter(examples)
    first = next(remaining, None)
    if first is None:
        raise UserError("The files hold no logits", f"Give JSONL files with teacher_logits_compressed or {LOGPROBS}.")
    held = first.line.distributions(first.target_ids, names)
    vocab_size = held.vocab_size if isinstance(held, TopLogprobs) else held.shape[1]
    encoder = build_codec(codec, vocab_size, NO_HEAD, parameters)
    takes_logits = [name for name, kind in CODECS.items() if kind.encode_logits is not Codec.encode_logits]
    if codec not in takes_logits:
        raise UserError(
            f"the codec `{codec}` stores what enters the teacher's head, and the files hold logits alone",
            f"Use one of: {', '.join(takes_logits)}.",
        )
    writers = {
        split: StoreWriter(
            folder, encoder, None, provenance, temperatures=temperatures, examples_per_shard=examples_per_shard
        )
        for split, (folder, provenance) in stores.items()
    }
    for example in chain([first], remaining):
        writer, line = writers[example.split], example.line
        if not writer.is_done(line.id):
            distributions = line.distributions(example.target_ids, names, vocab_size)
            writer.add(line.id, example.target_ids, distributions, line.where)
    manifests = {split: writer.finish() for split, writer in writers.items()}
    for split, manifest in manifests.items():
        log.info("%s: %d examples, %d target tokens", split, manifest.rows, manifest.tokens)
    names.warn_of_unresolved()
    return manifests


def sha256_of_files(files: Sequence[Path]) -> str:
    """Return the SHA-256 of the files' own SHA-256 in their order, of one file its own; UserError if one is missing."""
    missing = [file for file in files if not file.is_file()]
    if missing:
        raise UserError(f"{missing[0]}: no such file", "Name an existing JSONL file of teacher logits.")
    digests = [sha256_of_file(file) for file in files]
    return digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()


def _target_ids(line: InterchangeLine, prompt: Prompt) -> list[int]:
    if line.target_ids is None and line.assertion is None:
        raise UserError(f"{line.where}: neither assertion nor target_ids", "Give the text that the logits are for.")
    encoded = [prompt.encode_target(text) for text in (line.assertion, line.prediction) if text is not None]
    ids = encoded[0] if line.target_ids is None else line.target_ids
    if ids not in encoded:
        raise UserError(
            f"{line.where}: target_ids are the tokens neither of assertion nor of teacher_prediction",
            "Name the tokenizer and the longest target (--max-output-len) that the teacher had.",
        )
    return ids


def each_once(lines: Iterable[InterchangeLine]) -> Iterator[InterchangeLine]:
    """Yield the lines; UserError, which names both places, at the second of one id."""
    places: dict[str, str] = {}
    for line in lines:
        if line.id in places:
            raise UserError(
                f"{line.where}: the id {line.id!r} stands in {places[line.id]} too",
                "Give every line an `id` of its own; without ids, give the files different names.",
            )
        places[line.id] = line.where
        yield line
