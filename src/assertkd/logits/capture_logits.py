"""The rule `capture_logits`: asks a running server what it writes and how likely it finds the targets.

What arrives is kept line by line beside the output, so that a killed job or a changed run asks for the rest only.
"""

import hashlib
import json
import logging
import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from assertkd.errors import UserError
from assertkd.jsonl import LineIndex, as_line, storable, write_lines
from assertkd.layout import SPLITS, CorpusLayout, InterchangeLayout
from assertkd.logits.interchange.logprobs import read_top_logprobs
from assertkd.logits.interchange.token_names import TokenNames
from assertkd.logits.params import CaptureLogitsParams
from assertkd.logits.server import Server
from assertkd.models.tokenizer import load_tokenizer
from assertkd.prompts.prompt import Prompt
from assertkd.records import LOGPROBS, Record, read_records
from assertkd.runtime.progress import Progress
from assertkd.settings.logits import ServerConnection

ARRIVED = "arrived.jsonl"
"""What has arrived, for any settings; a changed run asks for the rest only. It may be deleted at any time."""
PRECISION = ".7g"
"""What is kept of a log-probability, which servers compute in float32."""

log = logging.getLogger(__name__)

Answer = TypeVar("Answer")


class _Question(NamedTuple):
    """A record to ask about.

    Attributes:
        target_ids: of the gold assertion; None where what the model writes is the target.
        digest: of all that the answer depends on.
    """

    record: Record
    prompt: list[int]
    target_ids: list[int] | None
    digest: str


def capture_logits(params: CaptureLogitsParams, connection: ServerConnection, corpus: Path, folder: Path) -> None:
    """Write the interchange files of all splits to `folder`.

    Args:
        params: the model, lengths, and which records have gold targets; the others' target is what the model writes.
        connection: to the server.
        corpus: folder with `{split}.jsonl` and `tokenizer/`.
        folder: of the files. What arrived for other settings stays in its `arrived.jsonl` and is used again for them.

    Raises:
        UserError: the server is down, refuses, or has another tokenizer; what has arrived by then is kept.
    """
    inputs, lengths, stopped = CorpusLayout(corpus), params.supervision, threading.Event()
    tokenizer = load_tokenizer(inputs.tokenizer)
    prompt, names = Prompt(tokenizer, lengths.max_input_len, lengths.max_output_len), TokenNames(tokenizer)
    capture = _Capture(params, prompt, names, Server(connection, params.served_model, stopped))
    folder.mkdir(parents=True, exist_ok=True)
    arrived = folder / ARRIVED
    kept = _arrived(arrived)
    questions = {split: list(capture.questions(inputs.split(split), split)) for split in SPLITS}
    every = [question for split in SPLITS for question in questions[split]]
    missing = [question for question in every if question.digest not in kept]
    before = len(every) - len(missing)
    log.info("%d records, of which %d have arrived before", len(every), before)
    progress = Progress("records asked for", len(every), before)
    with arrived.open("a", encoding="utf-8", newline="") as handle:
        answers = _in_parallel(capture.answer, missing, connection.concurrency, stopped)
        for number, line in enumerate(answers, start=before + 1):
            handle.write(as_line(line))
            handle.flush()
            progress.at(number)
    names.warn_of_unresolved()
    index = _arrived(arrived)
    for split in SPLITS:
        lines = index.lines(question.digest for question in questions[split])
        write_lines(
            InterchangeLayout(folder).split(split),
            (one.record.as_dict() | line["answer"] for one, line in zip(questions[split], lines, strict=True)),
        )


class _Capture:
    """What is asked of the server about a record, and what is kept of its answers."""

    def __init__(self, params: CaptureLogitsParams, prompt: Prompt, names: TokenNames, server: Server) -> None:
        self._params, self._prompt, self._names, self._server = params, prompt, names, server
        log.info("asking %s for %s", server.url, server.model)

    def questions(self, path: Path, split: str) -> Iterator[_Question]:
        """Yield the questions about a split's records."""
        records, supervision, served = list(read_records(path)), self._params.supervision, self._params.served_model
        gold = supervision.gold_ids(split, [record.id for record in records])
        asked = [self._server.model, served.top_k, served.stop, supervision.max_output_len]
        for record in records:
            target = self._prompt.encode_target(record.assertion) if record.id in gold else None
            prompt = self._prompt.encode_record(record).ids
            text = json.dumps([*asked, record.id, prompt, target])
            yield _Question(record, prompt, target, hashlib.sha256(text.encode()).hexdigest())

    def answer(self, question: _Question) -> dict[str, Any]:
        """Return the line of a record, its id the question's."""
        prediction = storable(self._server.write(question.prompt, self._prompt.max_output_len))
        target = self._prompt.encode_target(prediction) if question.target_ids is None else question.target_ids
        value = self._server.top_logprobs(question.prompt, target)
        where = f"{self._server.url}: record {question.record.id!r}"
        top = read_top_logprobs(value, where, target, self._names, self._names.entries)
        rows = [
            {
                str(identity): float(format(log_p, PRECISION))
                for identity, log_p in zip(ids[:held], row[:held], strict=True)
            }
            for ids, row, held in zip(top.ids.tolist(), top.log_p.tolist(), top.held.tolist(), strict=True)
        ]
        answer = {"target_ids": target, "teacher_prediction": prediction, LOGPROBS: rows}
        return {"id": question.digest, "answer": answer}


def _arrived(path: Path) -> LineIndex:
    """Return the lines that have arrived. A last line that was cut off is removed; UserError for any other fault."""
    with path.open("a+b") as handle:
        handle.seek(0)
        handle.truncate(sum(len(line) for line in handle if line.endswith(b"\n")))
    try:
        return LineIndex(path, "capture_logits", lambda line: isinstance(line["answer"], dict))
    except UserError as fault:
        raise UserError(fault.problem, "Remove this line: what it held is asked for again.") from None


def _in_parallel(
    ask: Callable[[_Question], Answer], questions: Iterable[_Question], workers: int, stopped: threading.Event
) -> Iterator[Answer]:
    """Yield the answers as they come, with up to `workers` questions on their way.

    After a fault nothing more is asked, and it is raised when the answers that were on their way have come. The threads
    are daemons, so that a process that has to stop does not wait for answers. `stopped` is set at the end.
    """
    remaining, lock = iter(questions), threading.Lock()
    done: queue.SimpleQueue[tuple[Answer | None, BaseException | None, bool]] = queue.SimpleQueue()

    def work() -> None:
        try:
            while not stopped.is_set():
                with lock:
                    question = next(remaining, None)
                if question is None:
                    break
                done.put((ask(question), None, False))
        except BaseException as fault:  # noqa: BLE001
            done.put((None, fault, False))
        done.put((None, None, True))

    for _ in range(workers):
        threading.Thread(target=work, daemon=True).start()
    first: BaseException | None = None
    try:
        while workers:
            answer, fault, has_ended = done.get()
            workers -= has_ended
            if fault is not None:
                stopped.set()
                first = first or fault
            elif answer is not None:
                yield answer
    finally:
        stopped.set()
    if first is not None:
        raise first
