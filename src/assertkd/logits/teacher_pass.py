"""The teacher at work for the logit store: what it predicts, and what it knows at the tokens of given targets."""

import logging
from array import array
from collections.abc import Sequence
from pathlib import Path

from assertkd.batching.examples import Example
from assertkd.files import sha256_of_file
from assertkd.logits.codecs.codec import Codec
from assertkd.logits.codecs.registry import build_codec, codec_parameters
from assertkd.logits.head_inputs import by_length, head_inputs, lm_head
from assertkd.logits.store.manifest import Provenance
from assertkd.logits.store.writer import StoreWriter
from assertkd.models.t5.generation import generate_texts
from assertkd.models.t5.model import TargetLogits, load_model, weights_file
from assertkd.models.tokenizer import load_tokenizer
from assertkd.prompts.prompt import Prompt
from assertkd.records import Record, read_records
from assertkd.runtime.devices import resolve_device
from assertkd.runtime.progress import Progress
from assertkd.settings import LogitsSettings

log = logging.getLogger(__name__)


class Recorder:
    """One teacher with what its answers are stored by.

    Args:
        settings: codec and batch size.
        max_input_len: longest input, in tokens.
        max_output_len: longest target, in tokens.
        teacher: the fine-tuned teacher's `final_model/`.
        temperatures: those that the codec `topk` keeps the tail's mass at, besides 1.

    Attributes:
        model: the teacher, in evaluation mode, on `device`.
        prompt: encodes records with the teacher's tokenizer.
        device: where it runs.

    Raises:
        UserError: the teacher is missing, or the device is.
    """

    def __init__(
        self,
        settings: LogitsSettings,
        max_input_len: int,
        max_output_len: int,
        teacher: Path,
        temperatures: Sequence[float] = (),
    ) -> None:
        self.device = resolve_device(settings.device)
        self.model = load_model(teacher).to(self.device).eval()
        self.prompt = Prompt(load_tokenizer(teacher), max_input_len, max_output_len)
        self._settings, self._teacher, self._temperatures = settings, teacher, temperatures

    def read(self, path: Path) -> tuple[list[Record], list[Sequence[int]]]:
        """Return a file's records without the sources, which nothing asks for once they are encoded, and the inputs."""
        records, inputs = [], list[Sequence[int]]()
        for record in read_records(path):
            inputs.append(array("i", self.prompt.encode_record(record).ids))
            records.append(Record(record.id, "", "", record.assertion))
        return records, inputs

    def predict(self, records: Sequence[Record], inputs: Sequence[Sequence[int]], what: str) -> dict[str, str]:
        """Return record id to what the teacher writes itself; `what` names the records in the log."""
        texts = generate_texts(
            self.model,
            self.prompt.tokenizer,
            inputs,
            batch_size=self._settings.batch_size,
            max_new_tokens=self.prompt.max_output_len,
            num_beams=self._settings.num_beams,
            device=self.device,
            progress=Progress(f"teacher predicts {what}", len(records)).at,
        )
        empty = sum(not text for text in texts)
        if empty:
            log.warning("%s: the teacher predicts nothing for %d of %d records", what, empty, len(texts))
        return {record.id: text for record, text in zip(records, texts, strict=True)}

    def compress(self, examples: Sequence[Example], what: str, records: Path, folder: Path) -> None:
        """Write the store of what the teacher knows at the targets of some examples.

        Args:
            examples: inputs with targets.
            what: names them in the log.
            records: the file that they come from, for the store's provenance.
            folder: where the store goes.

        Raises:
            UserError: the teacher's vectors do not fit the codec.
        """
        run = TargetLogits(self.model)
        # The order is a function of the examples, so a resumed pass repeats it.
        order = by_length(examples)
        said = Progress(f"teacher-forced {what}", len(order))
        with StoreWriter(
            folder,
            self.codec(),
            lm_head(self.model),
            self._provenance(records),
            temperatures=self._temperatures,
            rows_per_shard=self._settings.examples_per_shard,
        ) as writer:
            for start in range(0, len(order), self._settings.batch_size):
                chunk = order[start : start + self._settings.batch_size]
                if all(writer.is_done(example.id) for example in chunk):
                    continue
                for example, hidden in zip(chunk, head_inputs(run, chunk, self.device), strict=True):
                    if not writer.is_done(example.id):
                        writer.add(example.id, example.target_ids, hidden)
                said.at(start + len(chunk))
            manifest = writer.finish()
        size = sum(file.stat().st_size for file in folder.iterdir())
        log.info(
            "%s: %d examples, %d target tokens, %.1f MB (%.0f bytes a token)",
            what,
            manifest.rows,
            manifest.tokens,
            size / 1e6,
            size / max(1, manifest.tokens),
        )

    def codec(self) -> Codec:
        """Return the codec of the settings, for this teacher's sizes."""
        config = self.model.config
        parameters = codec_parameters(self._settings, self._temperatures)
        return build_codec(self._settings.codec, config.vocab_size, config.d_model, parameters)

    def _provenance(self, records: Path) -> Provenance:
        return Provenance(
            tokenizer=sha256_of_file(self._teacher / "tokenizer.json"),
            teacher=sha256_of_file(weights_file(self._teacher)),
            corpus=sha256_of_file(records),
        )
