"""One pass of the teacher over records: what it predicts, and the stores of what it knows at target tokens."""

import logging
import time
from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch

from assertkd.batching.collation import collate
from assertkd.batching.examples import Example
from assertkd.files import sha256_of_file
from assertkd.layout import ModelLayout
from assertkd.logits.codecs.head import Float32
from assertkd.logits.codecs.registry import build_codec, codec_parameters
from assertkd.logits.fidelity.measure import Sample, draw_sample
from assertkd.logits.params import LogitsParams
from assertkd.logits.store.manifest import Provenance
from assertkd.logits.store.writer import StoreWriter
from assertkd.models.network import round_weights
from assertkd.models.registry import load_model, weights_file
from assertkd.models.tokenizer import load_tokenizer
from assertkd.models.torch_text_generator import TorchTextGenerator
from assertkd.prompts.prompt import Prompt
from assertkd.records import Record, read_records
from assertkd.runtime.devices import check_precision, resolve_device
from assertkd.runtime.progress import Progress

log = logging.getLogger(__name__)

DECIDING = {"num_beams", "precision"}
"""Settings that decide what the teacher writes, and at which targets; changing a default here changes what old stores
mean."""
ENCODED_TOGETHER = 256
"""Examples encoded at once, about: among so many, several have as many tokens."""


class TeacherPass:
    """The teacher, teacher-forced, and the codec that its distributions are stored by.

    Args:
        params: codec, lengths and batch size.
        teacher: the fine-tuned teacher's `final_model/`.

    Attributes:
        model: the teacher, in evaluation mode, on `device`.
        prompt: encodes records with the teacher's tokenizer.

    Raises:
        UserError: the teacher is missing, or the device is, or it lacks the precision.
    """

    def __init__(self, params: LogitsParams, teacher: Path) -> None:
        self._settings, self._temperatures, self._teacher = params.logits, params.temperatures, teacher
        self.device = resolve_device(self._settings.device)
        check_precision(self._settings.precision, self.device, "logits.precision")
        tokenizer, lengths = load_tokenizer(teacher), params.supervision
        model = load_model(teacher, tokenizer=tokenizer)
        if self._settings.precision == "bf16":
            round_weights(model)
        self.model = model.to(self.device).eval()
        self.prompt = Prompt(tokenizer, lengths.max_input_len, lengths.max_output_len)
        self._head: Float32 = self.model.head_weight.float().cpu().numpy()
        self.codec = build_codec(
            self._settings.codec,
            self.model.vocab_size,
            self._head.shape[1],
            codec_parameters(self._settings, self._temperatures, self.model.logit_cap),
        )

    def read(self, path: Path) -> tuple[list[Record], list[Sequence[int]]]:
        """Return a file's records without their sources, which are not needed once encoded, and the encoded inputs."""
        records, inputs = [], list[Sequence[int]]()
        for record in read_records(path):
            inputs.append(array("i", self.prompt.encode_record(record).ids))
            records.append(Record(record.id, "", "", record.assertion))
        return records, inputs

    def predict(self, records: Sequence[Record], inputs: Sequence[Sequence[int]], name: str) -> dict[str, str]:
        """Return record id to what the teacher writes itself; `name` is that of the records in the log."""
        texts = TorchTextGenerator(self.model, self.prompt.tokenizer, self.device).generate(
            inputs,
            batch_size=self._settings.batch_size,
            max_new_tokens=self.prompt.max_output_len,
            num_beams=self._settings.num_beams,
            progress=Progress(f"teacher predicts {name}", len(records)).at,
        )
        empty = sum(not text for text in texts)
        if empty:
            log.warning("%s: the teacher predicts nothing for %d of %d records", name, empty, len(texts))
        return {record.id: text for record, text in zip(records, texts, strict=True)}

    def compress(self, examples: Sequence[Example], name: str, records: Path, folder: Path) -> None:
        """Write the store of what the teacher knows at the targets of some examples to `folder`.

        `name` is theirs in the log; `records` is the file that they come from.

        Raises:
            UserError: the teacher's vectors do not fit the codec.
        """
        progress = Progress(f"teacher-forced {name}", len(examples))
        provenance = Provenance(
            tokenizer=sha256_of_file(ModelLayout(self._teacher).tokenizer),
            teacher=sha256_of_file(weights_file(self._teacher)),
            corpus=sha256_of_file(records),
        )
        writer = StoreWriter(
            folder,
            self.codec,
            self._head,
            provenance,
            temperatures=self._temperatures,
            teacher_pass=self._settings.model_dump(include=DECIDING, exclude_defaults=True),
            examples_per_shard=self._settings.examples_per_shard,
        )
        finished = 0
        waiting: list[tuple[str, Sequence[int], Float32]] = []
        for batch in self._batches(examples):
            finished += len(batch)
            if all(writer.is_done(example.id) for example in batch):
                continue
            for example, hidden in zip(batch, self._head_inputs(batch), strict=True):
                if not writer.is_done(example.id):
                    waiting.append((example.id, example.target_ids, hidden))
            if len(waiting) >= ENCODED_TOGETHER:
                writer.add_all(waiting)
                waiting = []
            progress.at(finished)
        writer.add_all(waiting)
        manifest = writer.finish()
        size = sum(file.stat().st_size for file in folder.iterdir())
        log.info(
            "%s: %d examples, %d target tokens, %.1f MB (%.0f bytes a token)",
            name,
            manifest.rows,
            manifest.tokens,
            size / 1e6,
            size / max(1, manifest.tokens),
        )

    def sample(self, examples: Sequence[Example], positions: int, seed: int) -> Sample:
        """Return what enters the head at the targets of examples drawn at random (`draw_sample`)."""
        numbers = draw_sample([len(example.target_ids) for example in examples], positions, seed)
        started = time.perf_counter()
        hidden: list[Float32] = []
        for batch in self._batches([examples[number] for number in numbers]):
            # Each batch is copied to the CPU, which waits for the GPU: the clock needs no other.
            hidden += self._head_inputs(batch)
        return Sample(self._head, hidden, time.perf_counter() - started, self.model.logit_cap)

    def _batches(self, examples: Sequence[Example]) -> Iterator[list[Example]]:
        """Yield the examples batch by batch, like lengths together. A resumed pass repeats the order."""
        order = sorted(examples, key=lambda example: (len(example.input_ids), example.id))
        for start in range(0, len(order), self._settings.batch_size):
            yield order[start : start + self._settings.batch_size]

    @torch.inference_mode()
    def _head_inputs(self, examples: Sequence[Example]) -> list[Float32]:
        """Return for every example of a batch the vectors (T, d) that enter the head at its T target tokens."""
        batch = collate(examples, self.model.pad_token_id, None).to(self.device)
        hidden = self.model.head_inputs(batch.input_ids, batch.attention_mask, batch.labels)
        rows = torch.split(hidden.float().cpu(), [len(example.target_ids) for example in examples])
        return [part.numpy() for part in rows]
