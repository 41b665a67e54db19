"""A served teacher: what is captured and imported is what the same model stores itself, whatever the server does."""

import json
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from assertkd.corpus.targets import Supervision, read_teacher_predictions
from assertkd.errors import UserError
from assertkd.files import write_json
from assertkd.layout import SPLITS, InterchangeLayout
from assertkd.logits.capture_logits import ARRIVED, capture_logits
from assertkd.logits.compress_logits import compress_logits
from assertkd.logits.import_logits import import_logits
from assertkd.logits.params import CaptureLogitsParams, CompressLogitsParams, ImportLogitsParams
from assertkd.logits.server import Server
from assertkd.logits.store.reader import StoreReader
from assertkd.models.registry import load_model
from assertkd.models.tokenizer import load_tokenizer
from assertkd.prompts.prompt_form import choose_form
from assertkd.records import MARKER, Record, read_records, write_records
from assertkd.settings import LogitsSettings
from assertkd.settings.logits import ServerConnection, ServerSettings, TopKCodecSettings
from preloaded import python
from served_model import ServedModel, broken, serving, slow, status

SUPERVISION = Supervision(max_input_len=160, max_output_len=12, labelled_share=0.5, seed=3)
SIZES = {"train": 8, "validation": 3, "test": 3}


class Setting:
    """A corpus, a teacher on disk, and the server that has this teacher."""

    def __init__(self, folder: Path, served: ServedModel, url: str) -> None:
        self.folder, self.served, self.url = folder, served, url
        self.corpus, self.teacher, self.output = folder / "corpus", folder / "teacher", folder / "logits/served"

    def server(self, **options: Any) -> ServerSettings:
        settings = {"url": self.url, "top_k": 400, "stop": (), "max_wait": 0.05, "timeout": 5.0}
        return ServerSettings(**settings | options)

    def params(self, **options: Any) -> CaptureLogitsParams:
        return CaptureLogitsParams(served_model=self.server(**options).served_model, supervision=SUPERVISION)

    def capture(self, **options: Any) -> None:
        capture_logits(self.params(**options), self.server(**options), self.corpus, self.output)

    def files(self) -> list[Path]:
        return [InterchangeLayout(self.output).split(split) for split in SPLITS]

    def arrived(self) -> list[dict[str, Any]]:
        # The last line may be on its way, or cut off.
        whole, _, _ = (self.output / ARRIVED).read_text(encoding="utf-8").rpartition("\n")
        return [json.loads(line) for line in whole.splitlines()]


@pytest.fixture
def setting(tmp_path: Path, saved_t5: Callable[..., Path], tiny_tokenizer: Any) -> Iterator[Setting]:
    teacher = saved_t5(tmp_path / "teacher", spread=0.15)
    tiny_tokenizer.save_pretrained(tmp_path / "corpus/tokenizer")
    served_tokenizer = load_tokenizer(tmp_path / "corpus/tokenizer")
    choose_form(served_tokenizer, "continuation")
    served_tokenizer.save_pretrained(tmp_path / "corpus/tokenizer")
    for split, size in SIZES.items():
        records = [
            Record(
                f"{split}-{n}",
                f"int {split[:2]}() {{ return {n}; }}",
                f"void t() {{ {MARKER} }}",
                f"assertEquals({n});",
            )
            for n in range(size)
        ]
        write_records(tmp_path / f"corpus/{split}.jsonl", records)
    served = ServedModel(load_model(teacher, tokenizer=tiny_tokenizer), tiny_tokenizer)
    with serving(served) as url:
        yield Setting(tmp_path, served, url)


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("form", ["prompt_logprobs", "echo"])
def test_the_cache_is_that_of_the_model_itself(setting: Setting, form: str) -> None:
    setting.served.form = form
    setting.capture()
    logits = LogitsSettings(codec="topk", topk=TopKCodecSettings(tolerance=1e-6))
    chosen = {"logits": logits, "temperatures": (1.0, 2.0), "supervision": SUPERVISION}
    import_logits(ImportLogitsParams(**chosen), setting.files(), setting.corpus, setting.folder / "logits")
    compress_logits(CompressLogitsParams(**chosen), setting.teacher, setting.corpus, setting.folder / "own")
    kept: list[float] = []
    for split in SPLITS:
        mine, own = (StoreReader(setting.folder / name / split) for name in ("logits", "own"))
        assert sorted(mine.ids()) == sorted(own.ids())
        texts = read_teacher_predictions(setting.folder / "logits/teacher_predictions.jsonl", split)
        if split != "test":
            assert texts == read_teacher_predictions(setting.folder / "own/teacher_predictions.jsonl", split)
        captured = InterchangeLayout(setting.output).split(split).read_text(encoding="utf-8").splitlines()
        for record, line in zip(
            read_records(setting.corpus / f"{split}.jsonl"), map(json.loads, captured), strict=True
        ):
            assert {name: line[name] for name in record.as_dict()} == record.as_dict()
            assert texts[record.id] == line["teacher_prediction"]
            target = line["target_ids"]
            ours, theirs = mine.read(record.id, target), own.read(record.id, target)
            assert np.array_equal(ours["k"], theirs["k"])
            assert np.array_equal(ours["ids"], theirs["ids"])
            assert np.allclose(ours["levels"], theirs["levels"], atol=1)
            kept.append(len(ours["ids"]) / len(target))
            assert np.allclose(ours["tail"], theirs["tail"], atol=1e-2)
    assert max(kept) > 2, "more than the likeliest tokens are compared"
    report = json.loads((setting.folder / "logits/fidelity.json").read_text(encoding="utf-8"))
    assert report["given"]["tail_mass"] == pytest.approx(0, abs=1e-5)


def test_a_server_that_fails_for_a_while_is_asked_again(setting: Setting) -> None:
    waits: list[float] = []

    class Watched(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            waits.append(timeout or 0.0)
            return False

    dropped, garbled = broken(b'{"choices": [', 1000), broken(b"<ht>", 4)
    spoilt = [status(429, Retry_After="7"), status(500), dropped, garbled, slow(0.6), status(503)]
    setting.served.faults = [*spoilt, status(429, Retry_After="Wed, 21 Oct 2015 07:28:00 GMT")]
    settings = setting.server(concurrency=1, timeout=0.3, max_wait=0.8)
    asking = Server(settings, settings.served_model, Watched())
    prompt = [5, 6, *setting.served.question]
    text = asking.write(prompt, 4)
    assert not setting.served.faults
    assert text == asking.write(prompt, 4)
    assert waits[0] == 7.0
    assert waits[-1] == 0.0, "a date that has passed"
    assert len(waits) == 7
    for number, seconds in enumerate(waits[1:-1], start=1):
        longest = min(0.8, 0.5 * 2**number)
        assert longest / 2 <= seconds <= longest


def test_no_more_requests_than_allowed_are_on_their_way(setting: Setting) -> None:
    setting.served.delay = 0.05
    setting.capture(concurrency=3)
    assert setting.served.busiest == 3
    assert set(setting.served.asked.values()) == {1}
    assert len(setting.served.asked) == 2 * sum(SIZES.values())


KILLED = """
import os, sys
print(os.getpid(), flush=True)
from pathlib import Path
from assertkd.files import read_json
from assertkd.logits.capture_logits import capture_logits
from assertkd.logits.params import CaptureLogitsParams
from assertkd.settings.logits import ServerConnection
params, connection, corpus, folder = map(Path, sys.argv[1:])
capture_logits(
    CaptureLogitsParams.model_validate(read_json(params)),
    ServerConnection.model_validate(read_json(connection)),
    corpus,
    folder,
)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_job_asks_for_the_rest_only(setting: Setting, number: signal.Signals) -> None:
    connection = setting.server(concurrency=2).model_dump(mode="json", include=set(ServerConnection.model_fields))
    write_json(setting.folder / "connection.json", connection)
    write_json(setting.folder / "params.json", setting.params().model_dump(mode="json"))
    setting.served.delay = 0.1
    arguments = [setting.folder / "params.json", setting.folder / "connection.json", setting.corpus, setting.output]
    command = [python(), "-c", KILLED, *map(str, arguments)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, env=dict(os.environ))
    assert process.stdout is not None
    victim = int(process.stdout.readline())
    deadline = time.monotonic() + 120
    while not (setting.output / ARRIVED).is_file() or len(setting.arrived()) < 4:
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    os.kill(victim, number)
    process.communicate(timeout=30)
    setting.served.delay = 0.0
    assert not any(file.exists() for file in setting.files())
    before = setting.arrived()
    with (setting.output / ARRIVED).open("a", encoding="utf-8") as handle:
        handle.write('{"id": "cut o')
    time.sleep(0.5)
    setting.served.asked.clear()
    setting.capture()
    after = setting.arrived()
    assert after[: len(before)] == before
    assert len(after) == len({line["id"] for line in after}) == sum(SIZES.values())
    assert set(setting.served.asked.values()) == {1}
    assert len(setting.served.asked) == 2 * (len(after) - len(before))
    setting.served.asked.clear()
    setting.capture(concurrency=1, retries=0)
    assert not setting.served.asked, "all has arrived, whatever the options of the requests"
    setting.capture(top_k=3)
    assert len(setting.served.asked) == 2 * sum(SIZES.values()), "other log-probabilities are asked for"


def test_answers_on_their_way_are_kept_when_another_is_refused(setting: Setting) -> None:
    setting.served.delay = 0.2
    setting.served.faults = [slow(0), slow(0), slow(0), status(418)]
    with pytest.raises(UserError, match="HTTP 418"):
        setting.capture(concurrency=4)
    assert len(setting.arrived()) == 3


def refused(setting: Setting, **options: Any) -> UserError:
    with pytest.raises(UserError) as fault:
        setting.capture(**options)
    assert len(str(fault.value).splitlines()) == 2
    assert not any(file.exists() for file in setting.files())
    return fault.value


def test_a_server_that_is_down_is_named(setting: Setting) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
        fault = refused(setting, url=url, retries=1)
    assert fault.problem.startswith(f"{url}/models: no answer in 2 tries; the last: ")
    assert "refused" in fault.problem
    assert "what has arrived is kept" in fault.remedy


def test_what_the_server_lacks_or_refuses_is_said_in_its_words(setting: Setting) -> None:
    fault = refused(setting, model="large")
    assert fault.problem == f"{setting.url}: has no model 'large'; it has tiny"
    setting.served.max_logprobs = 20
    fault = refused(setting)
    assert "HTTP 400: Requested 400 logprobs, greater than max allowed" in fault.problem
    assert "--max-logprobs" in fault.remedy
    setting.served.form = "neither"
    fault = refused(setting, top_k=5)
    assert "HTTP 400: echo and logprobs cannot be used together" in fault.problem
    for url in ("http://[::1/v1", "http://127.0.0.1:port/v1"):
        assert refused(setting, url=url, retries=0).problem.startswith(f"{url}: is no address (")
    fault = refused(setting, url=f"{setting.url}/elsewhere", model="tiny")
    assert "/v1/elsewhere" in fault.problem


def test_another_tokenizer_is_seen_at_the_first_record(setting: Setting) -> None:
    setting.served.shift = 40
    fault = refused(setting, concurrency=1)
    assert "record 'train-0': teacher_logprobs: row " in fault.problem
    assert "another tokenizer" in fault.problem
    assert fault.remedy.startswith("Name the tokenizer of the server's model (tokenizer.name, --tokenizer)")


def test_only_another_tokenizer_is_blamed_on_the_tokenizer(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    row = {"logprob": 0.0, "rank": 1}

    def sure_of_all(*_: Any) -> list[Any]:
        return [{str(identity): row for identity in range(300)}] * SUPERVISION.max_output_len

    monkeypatch.setattr(Server, "top_logprobs", sure_of_all)
    fault = refused(setting, concurrency=1)
    assert "the probabilities sum to 300, more than 1" in fault.problem
    assert "tokenizer" not in fault.remedy


def test_what_could_not_be_told_apart_is_in_the_log(
    setting: Setting, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def by_text(_: Server, prompt: list[int], target: list[int]) -> dict[str, Any]:
        return {
            "tokens": [f"token_id:{identity}" for identity in target],
            "token_logprobs": [-0.5] * len(target),
            "top_logprobs": [{"of no tokenizer": -2.0}] * len(target),
        }

    monkeypatch.setattr(Server, "top_logprobs", by_text)
    setting.capture(concurrency=4)
    lines = [json.loads(line) for file in setting.files() for line in file.read_text(encoding="utf-8").splitlines()]
    tokens = sum(len(line["target_ids"]) for line in lines)
    assert f"{tokens} log-probabilities are of tokens that cannot be told from others" in caplog.text


@pytest.mark.parametrize("bad", ["not JSON", '{"id": 3', "{}", '{"id": "x"}', '{"id": "x", "answer": 3, "id": "x"}'])
def test_a_bad_line_in_the_middle_loses_no_answer(setting: Setting, bad: str) -> None:
    setting.capture()
    arrived = setting.output / ARRIVED
    lines = arrived.read_text(encoding="utf-8").splitlines()
    spoilt = "\n".join([*lines[:3], bad, *lines[3:]]) + "\n"
    arrived.write_text(spoilt, encoding="utf-8")
    setting.served.asked.clear()
    with pytest.raises(UserError) as fault:
        setting.capture()
    assert fault.value.problem.startswith(f"{arrived}:4: ")
    assert "Remove this line" in fault.value.remedy
    assert arrived.read_text(encoding="utf-8") == spoilt
    arrived.write_text("\n".join(lines) + "\n", encoding="utf-8")
    setting.capture()
    assert not setting.served.asked


def test_the_key_comes_from_the_environment_and_is_written_nowhere(setting: Setting, monkeypatch, caplog) -> None:
    setting.served.key = "s3cret"
    assert "HTTP 401: Incorrect API key provided" in refused(setting).problem
    monkeypatch.delenv("TINY_KEY", raising=False)
    assert "TINY_KEY is not set to a key" in refused(setting, api_key_env="TINY_KEY").problem
    monkeypatch.setenv("TINY_KEY", "two\nlines")
    assert "two" not in str(refused(setting, api_key_env="TINY_KEY"))
    monkeypatch.setenv("TINY_KEY", "wrong")
    fault = refused(setting, api_key_env="TINY_KEY")
    assert "wrong" not in str(fault)
    monkeypatch.setenv("TINY_KEY", "s3cret")
    setting.capture(api_key_env="TINY_KEY")
    assert "s3cret" not in caplog.text
    written = [path for path in setting.folder.rglob("*") if path.is_file() and b"s3cret" in path.read_bytes()]
    assert not written


def test_no_redirection_takes_the_key_elsewhere(setting: Setting) -> None:
    setting.served.faults = [status(302, Location="http://127.0.0.1:9/v1/completions")]
    assert "HTTP 302" in refused(setting, concurrency=1).problem
