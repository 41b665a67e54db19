"""A thousand damaged inputs: each is read, or refused in two lines, within a time limit."""

import contextlib
import io
import json
import random
import shutil
import signal
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from driver import Project

from assertkd.cli import main
from assertkd.corpus.params import PrepareCorpusParams
from assertkd.corpus.prepare_corpus import prepare_corpus
from assertkd.errors import UserError
from assertkd.layout import RunLayout
from assertkd.locking import NAME, Timing, held
from assertkd.logits.store.reader import StoreReader
from assertkd.report.build_report import build_report
from assertkd.report.params import ComparisonParams
from assertkd.report.results import models_of
from assertkd.settings import ReportSettings, load_config, load_run
from assertkd.training.checkpoint_store import CheckpointStore
from assertkd.validate import validate

pytestmark = [pytest.mark.workflow, pytest.mark.long]

SECONDS = 60
"""For one input; each takes a second or two."""

SUBSTITUTES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 2**31, -(2**63), 10**40, 1e308, 0.5, float("nan"), float("inf")),
    *("", "x", "null", "\x00", "\x1b[31m", "\ud800", "ä" * 1000, "../../x", "=1+1", "1" * 5000),
    *([], {}, [[]], [None], {"": None}, {"a": {"b": []}}, ["x"] * 100),
)
SNIPPETS: tuple[bytes, ...] = (
    *(b"", b"\x00", b"\xff\xfe", b"\xef\xbb\xbf", b"\n", b"\r\n", b"\t", b"null", b"[" * 2000, b'{"a":' * 2000),
    *(b"9" * 5000, b"NaN", b'"', b"}", b"&a [*a]", b"<<: *a", b": ", b"- ", b"!!python/name:os.system", b"\\ud800"),
    *(b"version https://git-lfs.github.com/spec/v1\n", b"PK\x03\x04", b"\x80\x04."),
)


class TooLongError(BaseException):
    """An input took more than its time; no code takes it for a fault of its own."""


@dataclass(frozen=True)
class Kind:
    """A kind of input.

    Attributes:
        read: does with the input's folder what the project does with it.
        source: a sound input, copied for each case.
        files: patterns of the files to damage.
        count: of the cases.
    """

    read: Callable[[Path], object]
    source: Path
    files: tuple[str, ...]
    count: int


def damage(folder: Path, patterns: tuple[str, ...], draw: random.Random) -> str:
    """Damage one file of a folder in one to three ways; return which."""
    path = draw.choice(sorted(path for pattern in patterns for path in folder.glob(pattern) if path.is_file()))
    ways = [draw.choice(WAYS) for _ in range(draw.choice((1, 1, 1, 2, 3)))]
    for way in ways:
        if path.is_file():
            way(path, draw)
    return f"{path.relative_to(folder)}: {', '.join(way.__name__ for way in ways)}"


def cut(path: Path, draw: random.Random) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: draw.randrange(len(content) + 1)])


def flip(path: Path, draw: random.Random) -> None:
    content = bytearray(path.read_bytes())
    for _ in range(draw.choice((1, 1, 10, 100))):
        if content:
            content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
    path.write_bytes(content)


def flip_start(path: Path, draw: random.Random) -> None:
    content = bytearray(path.read_bytes())
    for _ in range(draw.choice((1, 3))):
        if content:
            content[draw.randrange(min(len(content), 64))] = draw.randrange(256)
    path.write_bytes(content)


def insert(path: Path, draw: random.Random) -> None:
    content = path.read_bytes()
    at = draw.randrange(len(content) + 1)
    path.write_bytes(content[:at] + draw.choice(SNIPPETS) + content[at:])


def replace_line(path: Path, draw: random.Random) -> None:
    lines = path.read_bytes().splitlines(keepends=True) or [b""]
    at = draw.randrange(len(lines))
    lines[at] = draw.choice([draw.choice(SNIPPETS) + b"\n", draw.choice(lines), lines[at] + lines[at], b""])
    path.write_bytes(b"".join(lines))


def replace_value(path: Path, draw: random.Random) -> None:
    """Replace, remove or rename something in JSON, or in one line of JSONL."""
    lines = path.read_bytes().splitlines() if path.suffix == ".jsonl" else [path.read_bytes()]
    at = draw.randrange(max(1, len(lines)))
    try:
        value = json.loads(lines[at])
    except (ValueError, IndexError, RecursionError):
        return flip(path, draw)
    places = [*_places(value)]
    if places and draw.random() < 0.95:
        holder, key = draw.choice(places)
        action = draw.random()
        if action < 0.7:
            holder[key] = draw.choice(SUBSTITUTES)
        elif action < 0.85 or isinstance(holder, list):
            del holder[key]
        else:
            holder[f"{key}x"] = holder.pop(key)
    else:
        value = draw.choice(SUBSTITUTES)
    lines[at] = json.dumps(value).encode()
    path.write_bytes(b"\n".join(lines))
    return None


def empty(path: Path, draw: random.Random) -> None:
    path.write_bytes(b"")


def remove(path: Path, draw: random.Random) -> None:
    path.unlink()


def become_folder(path: Path, draw: random.Random) -> None:
    path.unlink()
    path.mkdir()


def become_broken_link(path: Path, draw: random.Random) -> None:
    path.unlink()
    path.symlink_to("absent")


def become_another(path: Path, draw: random.Random) -> None:
    others = sorted(other for other in path.parent.iterdir() if other.is_file())
    path.write_bytes(draw.choice(others).read_bytes())


WAYS = (
    *(cut, flip, flip_start, insert, insert, replace_line, replace_line, replace_value, replace_value, replace_value),
    *(empty, remove, become_folder, become_broken_link, become_another),
)


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield value, key
            yield from _places(value[key])


@contextlib.contextmanager
def limited(seconds: int) -> Iterator[None]:
    def end(number: int, frame: object) -> None:
        raise TooLongError(f"more than {seconds} s")

    former = signal.signal(signal.SIGALRM, end)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, former)


def outcome(read: Callable[[Path], object], folder: Path) -> str:
    """Return "read" or "refused"; anything else is what went wrong, with the end of its traceback."""
    said = io.StringIO()
    try:
        with limited(SECONDS), contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
            read(folder)
    except UserError as fault:
        lines = str(fault).split("\n")
        # The config's faults are a list.
        if len(lines) != 2 and not fault.problem.startswith("The configuration has "):
            return f"{len(lines)} lines: {fault}"
        return "refused"
    except Refused:
        lines = said.getvalue().rstrip("\n").split("\n")
        if len(lines) < 2 or not lines[-2].startswith("Error: ") or "Traceback" in said.getvalue():
            return f"said {said.getvalue()[-500:]}"
        return "refused"
    except BaseException as fault:
        if isinstance(fault, KeyboardInterrupt):
            raise
        return "".join(traceback.format_exception(fault)[-6:])
    return "read"


class Refused(Exception):  # noqa: N818
    """A command ended with code 1."""


def command(*arguments: str | Path) -> None:
    if main([str(argument) for argument in arguments]) == 1:
        raise Refused


def kinds(project: Path, folder: Path) -> dict[str, Kind]:
    """Return the kinds of input, sound ones of which a finished run has or are made in `folder`."""
    run = RunLayout(project / "results/tiny")
    records, model, tokenizer = (
        folder / "few.jsonl",
        run.model("students/traditional/seed42").final_model,
        run.corpus.tokenizer,
    )
    first = run.corpus.test.read_text(encoding="utf-8").splitlines(keepends=True)
    records.write_text("".join(first[:2]), encoding="utf-8")
    settings = load_config(project / "tiny.yaml")
    whole = load_config(project / "config.yaml")
    configs = folder / "config"
    configs.mkdir()
    shutil.copy(project / "config.yaml", configs)
    shutil.copy(project / "tiny.yaml", configs)
    sources = folder / "records"
    sources.mkdir()
    shutil.copy(run.corpus.train, sources / "train.jsonl")
    command("logits", "export", run.folder, "--output", folder / "all", "--split", "test")
    interchange = folder / "interchange"
    interchange.mkdir()
    exported = (folder / "all/distillation_data_test.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    (interchange / "lines.jsonl").write_text("".join(exported[:3]), encoding="utf-8")
    predictions = folder / "predictions"
    predictions.mkdir()
    made = run.evaluation("teacher").predictions.read_text(encoding="utf-8").splitlines(keepends=True)
    (predictions / "predictions.jsonl").write_text("".join(made[:4]), encoding="utf-8")
    checkpoints = folder / "checkpoints"
    _checkpoints(checkpoints)
    locks = folder / "locks"
    with held(locks):
        content = (locks / NAME).read_bytes()
    (locks / NAME).write_bytes(content)

    def read_config(case: Path) -> None:
        one, other = load_config(case / "config.yaml"), load_config(case / "tiny.yaml")
        for config in (one, {**one, **other, "runs": {**(one.get("runs") or {}), **(other.get("runs") or {})}}):
            validate(load_run(config))

    def read_records(case: Path) -> None:
        for answer in ("reject", "error"):
            data = {"source": "files", "train_file": str(case / "train.jsonl"), "on_bad_record": answer}
            tiny = {**settings["runs"]["tiny"], "data": data}
            loaded = load_run({**whole, **settings, "runs": {"tiny": tiny}})
            prepare_corpus(PrepareCorpusParams.from_run(loaded), case / "corpus")

    def read_store(case: Path) -> None:
        reader = StoreReader(case)
        for example in reader.ids():
            reader.tokens(example)
        command("logits", "inspect", case, "--verify")

    def read_checkpoints(case: Path) -> None:
        checkpoint = CheckpointStore(case).latest()
        if checkpoint is not None:
            assert checkpoint.state == {"epoch": checkpoint.step}
            assert checkpoint.tensors("model")["weight"].tolist() == [float(checkpoint.step)] * 8

    def read_report(case: Path) -> None:
        names = ["teacher", "students/hard_labels/seed42", "students/traditional/seed42"]
        compared = ComparisonParams(baseline="hard_labels", resamples=20, seed=1)
        layout = RunLayout(case)
        build_report(ReportSettings(), compared, models_of(names, names, case), case / "page", layout.logits.fidelity)

    def read_lock(case: Path) -> None:
        with held(case, timing=Timing(touch=0.01, silence=0.1, patience=0.05)):
            pass

    to = Path("out")
    return {
        "config": Kind(read_config, configs, ("*",), 250),
        "records": Kind(read_records, sources, ("*",), 120),
        "interchange": Kind(
            lambda case: command(
                *("logits", "import", case / "lines.jsonl", "--tokenizer", tokenizer, "--output", case / to)
            ),
            interchange,
            ("*",),
            120,
        ),
        "model": Kind(
            lambda case: command("predict", "--model", case, "--records", records, "--to", case / to),
            model,
            ("*.json", "*.safetensors"),
            150,
        ),
        "store": Kind(read_store, run.logits.test, ("*",), 120),
        "checkpoint": Kind(read_checkpoints, checkpoints, ("**/*",), 80),
        "predictions": Kind(
            lambda case: command(
                "evaluate", "--predictions", case / "predictions.jsonl", "--evaluation.bootstrap_resamples", "100"
            ),
            predictions,
            ("*",),
            80,
        ),
        "results": Kind(
            read_report,
            run.folder,
            ("teacher/*.csv", "students/**/*.csv", "evaluation/**/predictions_final.jsonl", "corpus/test.jsonl"),
            40,
        ),
        "lock": Kind(read_lock, locks, (NAME,), 40),
    }


def _checkpoints(folder: Path) -> None:
    store = CheckpointStore(folder)
    (folder / "log.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    for step in (1, 2):
        weights = {"weight": torch.full((8,), float(step))}
        store.save(step, {"model": weights}, {"epoch": step}, {"log.csv": 8}, {})


def fuzz(kind: Kind, name: str, folder: Path, count: int, seed: int = 0) -> tuple[Counter[str], list[str]]:
    """Return how often an input of a kind was read and refused, and what went wrong with others."""
    counts: Counter[str] = Counter()
    wrong = []
    for number in range(count):
        draw = random.Random(f"{name} {seed} {number}")
        case = folder / f"{name}-{number}"
        shutil.copytree(kind.source, case)
        how = damage(case, kind.files, draw)
        found = outcome(kind.read, case)
        counts[found if found in ("read", "refused") else "wrong"] += 1
        if found not in ("read", "refused"):
            wrong.append(f"{name} {number}, {how}:\n{found}")
        shutil.rmtree(case)
    return counts, wrong


def test_a_thousand_damaged_inputs_are_read_or_refused_in_two_lines(
    finished: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    every = kinds(finished.folder, tmp_path)
    assert sum(kind.count for kind in every.values()) == 1000
    faults = []
    for name, kind in every.items():
        assert outcome(kind.read, Path(shutil.copytree(kind.source, tmp_path / "sound" / name))) == "read", name
        counts, wrong = fuzz(kind, name, tmp_path, kind.count)
        faults += wrong
        with capsys.disabled():
            print(f"\n{name}: {dict(counts)}", end="")
        assert counts["read"] + counts["wrong"], name
        assert counts["refused"] + counts["wrong"] or name == "checkpoint", name
    assert not faults, "\n\n".join(faults)
