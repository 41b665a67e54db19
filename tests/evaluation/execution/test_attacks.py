"""Attacks in one run of the stage among honest records: each fails alone, and nothing outside is touched."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Thread

import native
import pytest
from attacks import ATTACKS, FILES, ITSELF, ON_THE_MACHINE, RUNNER, TEXTS, THREADS, assertion
from java_source import box
from outside import SECRET, Outside, outside
from processes import all_ended

from assertkd.evaluation.execute import execute, execute_gold
from assertkd.evaluation.execution.compiler import Unit
from assertkd.evaluation.execution.gold import GoldExecution, read_gold_executions
from assertkd.evaluation.execution.jdk import Toolchain
from assertkd.evaluation.execution.pool import ExecutionPool
from assertkd.evaluation.execution.predicted import PredictedExecution, read_executions
from assertkd.evaluation.params import ExecuteGoldParams, ExecuteParams
from assertkd.predictions import Prediction, write_predictions
from assertkd.records import MARKER, Record, write_records
from assertkd.settings import ExecuteSettings

pytestmark = [pytest.mark.java, pytest.mark.hostile]

HONEST, WRONG = "assertEquals(5, box.size( 2));", "assertEquals(4, box.size(2));"
SECONDS = 2.0

FOLLOWED = [
    name
    for number, name in enumerate([*ATTACKS, *TEXTS])
    if name in {**ITSELF, **THREADS, **RUNNER} or (name not in FILES and number % 4 == 0)
]
"""What changes the process that it runs in, and some of the others."""

SHARED = """package p.shared;
import static org.junit.Assert.*;
import java.util.*;
import org.junit.Test;
public class NAME {
    @Test
    public void sizes() throws Exception {
        Box box = new Box();
        List<Integer> sizes = Arrays.asList(box.size(2));
        MARKER
    }
}
"""


CONTROL = """
public class Control {
    METHODS
    public static void main(String[] arguments) throws Exception {
        for (java.lang.reflect.Method one : Control.class.getDeclaredMethods()) {
            if (one.getName().startsWith("a_")) {
                java.nio.file.Files.writeString(java.nio.file.Path.of(arguments[0]), "SECRET");
                String ended = "reached";
                try {
                    one.invoke(null, new Box());
                } catch (java.lang.reflect.InvocationTargetException thrown) {
                    // What is thrown with what was read is no refusal.
                    Throwable cause = thrown.getCause();
                    ended = "SECRET".equals(cause.getMessage()) ? ended : cause.toString().replaceAll("\\s+", " ");
                }
                System.out.println(one.getName() + "\t" + ended);
            }
        }
    }
    public static class Box { }
}
""".replace("SECRET", SECRET)


def answer(server: socket.socket) -> None:
    """Answer whoever connects as a server of web pages does."""
    with suppress(OSError):
        while True:
            with server.accept()[0] as asked:
                if asked.recv(1 << 16):
                    asked.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")


def shared(id_: str, name: str, more: str = "", package: str = "p.shared") -> Record:
    """Return a record whose test class has this name, in a package that other records have too."""
    record = box(id_)
    source = SHARED.replace("NAME", name).replace("MARKER", MARKER) + more
    sources = {"test_source": source, "class_source": record.extra["class_source"].replace(f"p.{id_}", "p.shared")}
    sources = {key: text.replace("package p.shared;", f"package {package};") for key, text in sources.items()}
    return replace(record, extra=sources)


def hostile_records() -> dict[str, tuple[Record, bool]]:
    """Return records whose own code is hostile, or has names that could disturb others; whether its gold passes."""
    initializer, constructor = box("initializer"), box("constructor")
    for record, code in ((initializer, "static { Box.class.getName(); if (true) System.exit(0); }"), (constructor, "")):
        code = code or "public Box() { while (size == 3) { } }"
        record.extra["class_source"] = record.extra["class_source"].replace("private int", f"{code} private int")
    unnamed = shared("like_the_runner", "Runner", package="x")
    sources = {key: text.replace("package x;", "") for key, text in unnamed.extra.items()}
    return {
        "initializer": (initializer, False),
        "constructor": (constructor, False),
        "neighbour": (shared("neighbour", "NeighbourTest"), True),
        "list": (shared("list", "ListTest", "class List<T> { } class Arrays { }"), False),
        "like_the_runner": (replace(unnamed, extra=sources), True),
        "of_the_frameworks": (shared("of_the_frameworks", "Assert", package="org.junit"), False),
        "of_the_runner": (shared("of_the_runner", "Runner", package="assertkd"), False),
        "of_the_jdk": (shared("of_the_jdk", "Objects", package="java.util"), False),
        "nested": (shared("nested", "NestedTest", package=".".join(["nested"] * 1000)), False),
        "part_of_a_name": (shared("part_of_a_name", "junit", package="org"), False),
    }


@pytest.fixture(scope="module")
def around(toolchain: Toolchain) -> Iterator[Outside]:
    with outside(toolchain.junit) as made:
        yield made


@dataclass
class Finished:
    """What a run of the stage wrote, how long it took, and the folder that its own were in."""

    gold: dict[str, GoldExecution]
    predicted: dict[str, PredictedExecution]
    text: str
    seconds: float
    pools: Path


@pytest.fixture(scope="module")
def finished(around: Outside, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """Return the results of all attacks, those of `FOLLOWED` with an honest or a wrong prediction behind them."""
    folder = tmp_path_factory.mktemp("run")
    records: list[Record] = []
    texts: dict[str, str] = {}
    for number, (name, text) in enumerate([*ATTACKS.items(), *TEXTS.items()]):
        records.append(box(name))
        texts[name] = assertion(around.aimed(text)) if name in ATTACKS else text
        if name in FOLLOWED:
            kind, honest = ("honest", HONEST) if FOLLOWED.index(name) % 2 else ("wrong", WRONG)
            records.append(box(f"{kind}{number}"))
            texts[f"{kind}{number}"] = honest
    for name, (record, _) in hostile_records().items():
        records.append(record)
        texts[name] = HONEST
    write_records(folder / "test.jsonl", records)
    write_predictions(folder / "predictions.jsonl", (Prediction(r.id, texts[r.id], r.assertion) for r in records))
    settings = ExecuteSettings(
        seconds=SECONDS, mutants=1, memory_mb=64, junit=tuple(map(str, around.jars)), enabled=True
    )
    started = time.monotonic()
    files = (folder / "test.jsonl", folder / "gold_execution.jsonl", folder / "gold_execution.json")
    pools = Path(tempfile.mkdtemp(prefix="attacks-"))
    with pytest.MonkeyPatch.context() as patch:
        # Its processes are told from those of other tests by the folder that their commands name.
        patch.setattr(tempfile, "tempdir", str(pools))
        execute_gold(ExecuteGoldParams(execute=settings, limit=None), *files)
        execute(ExecuteParams(execute=settings), *files, folder)
    pools.rmdir()
    written = [path for path in folder.iterdir() if "execution" in path.name]
    return Finished(
        read_gold_executions(files[1]),
        {one.id: one for one in read_executions(folder / "execution.jsonl")},
        "".join(path.read_text(encoding="utf-8") for path in written),
        time.monotonic() - started,
        pools,
    )


def test_it_was_confined(finished: Finished) -> None:
    assert finished.text.count('"isolation": "bubblewrap"') == 2
    assert len(ATTACKS) >= 40


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_fails(finished: Finished, name: str) -> None:
    one = finished.predicted[name]
    assert (one.compiles, one.passes, one.killed) == (True, False, 0), one.message
    assert len(one.message) <= 300
    assert one.message.isprintable()


@pytest.mark.parametrize("name", TEXTS)
def test_what_is_no_assertion_is_not_run(finished: Finished, name: str) -> None:
    one = finished.predicted[name]
    assert (one.passes, one.killed) == (False, 0)
    assert one.ended in ("no whole statement", "no assertion", "does not compile")


def test_honest_predictions_are_judged_as_if_they_were_alone(finished: Finished) -> None:
    others = {name: one for name, one in finished.predicted.items() if name.startswith(("honest", "wrong"))}
    assert len(others) == len(FOLLOWED) >= 28
    for name, one in others.items():
        is_honest = name.startswith("honest")
        found = (one.passes, one.killed, one.gold_killed)
        assert found == (is_honest, int(is_honest), 1), f"{name}: {one.ended} ({one.message})"
        assert is_honest or "expected:<4> but was:<5>" in one.message


def test_records_with_hostile_code_or_names_fail_alone(finished: Finished) -> None:
    expected = {name: passes for name, (_, passes) in hostile_records().items()}
    assert {name: finished.gold[name].ended == "passed" for name in expected} == expected
    assert "package" in finished.gold["of_the_frameworks"].message
    assert all(finished.predicted[name].passes for name, passes in expected.items() if passes)


def test_nothing_outside_is_touched(finished: Finished, around: Outside) -> None:
    assert finished.predicted
    assert around.touched() == []


def test_a_library_of_machine_code_runs_and_reaches_nothing(finished: Finished) -> None:
    if native.library() is None:
        pytest.skip("no C compiler")
    assert finished.predicted["library"].message.endswith(f": {len(native.WAYS)} tried")


def test_what_is_attacked_on_the_machine_is_reached_where_nothing_confines(
    toolchain: Toolchain, pool: ExecutionPool
) -> None:
    """The attacks of `ON_THE_MACHINE` in one JVM, the library's ways one by one: each has to succeed."""
    attacks = {**ON_THE_MACHINE, **{way: native.loading([way]) for way in native.WAYS}}
    if native.library() is None:
        attacks = {name: text for name, text in attacks.items() if name not in (*native.WAYS, "library")}
    with outside(toolchain.junit) as reached:
        methods = "".join(
            f"static void a_{name}(Box box) throws Throwable {{ {text} }}" for name, text in attacks.items()
        )
        unit = Unit(pool.new_folder(), {"Control.java": reached.aimed(CONTROL.replace("METHODS", methods))})
        assert pool.compile([unit]) == [None]
        classes, home = (reached.folder.with_name(name) / name for name in ("classes", "home"))
        shutil.copytree(unit.folder, classes)
        home.mkdir(parents=True)
        Thread(target=answer, args=(reached.servers[0],), daemon=True).start()
        class_path = os.pathsep.join(map(str, (classes, *reached.jars)))
        command = [
            toolchain.java,
            "-XX:+UseSerialGC",
            "-Xmx64m",
            "-cp",
            class_path,
            "Control",
            reached.folder / "secret",
        ]
        done = subprocess.run(
            command,
            cwd=home,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    ended = dict(line.split("\t", 1) for line in done.stdout.splitlines() if "\t" in line)
    assert ended == dict.fromkeys((f"a_{name}" for name in attacks), "reached"), done.stdout + done.stderr


def test_no_file_s_content_leaves_in_a_message(finished: Finished) -> None:
    assert SECRET not in finished.text


def test_no_process_is_left(finished: Finished) -> None:
    assert finished.predicted
    assert all_ended(str(finished.pools))


def test_it_comes_to_an_end(finished: Finished) -> None:
    assert finished.seconds < 5 * 60, "an attack that hangs costs its time limit, and no more"
    assert finished.predicted["loop"].ended == "timed out"
