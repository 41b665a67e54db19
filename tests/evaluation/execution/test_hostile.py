"""Code that means harm, or only does it: it does not pass, nothing outside is touched, and what comes next runs."""

import socket
import subprocess
from pathlib import Path

import pytest
from java_source import box

from assertkd.evaluation.execution.compiler import Unit
from assertkd.evaluation.execution.gold import gold_executions, sources_of
from assertkd.evaluation.execution.jdk import Toolchain
from assertkd.evaluation.execution.pool import ExecutionPool
from assertkd.evaluation.execution.predicted import NO_ASSERTION, Case, predicted_executions
from assertkd.evaluation.execution.runner import DIED, FAILED, LEFT_THREADS, PASSED, TIMED_OUT, Runner, TestOutcome
from assertkd.evaluation.execution.units import subject_of
from assertkd.settings import ExecuteSettings

pytestmark = pytest.mark.java

SECONDS = 3.0
PATIENCE = 30.0
"""Limit of tests that are to pass, however busy the machine is."""

HOSTILE = {
    "exit": ("System.exit(0);", {DIED}),
    "halt": ("Runtime.getRuntime().halt(0);", {DIED}),
    "reflection": (
        'Class.forName("java.lang.Runtime").getMethod("exit", int.class)'
        '.invoke(Class.forName("java.lang.Runtime").getMethod("getRuntime").invoke(null), 0);',
        {DIED},
    ),
    "loop": ("while (box != null) { }", {TIMED_OUT}),
    "sleep": ("Thread.sleep(1_000_000);", {TIMED_OUT}),
    "deadlock": ("synchronized (box) { box.wait(); }", {TIMED_OUT}),
    "memory": (
        "java.util.List<long[]> all = new java.util.ArrayList<>(); while (true) all.add(new long[1 << 20]);",
        {DIED},
    ),
    "array": ("long[] all = new long[Integer.MAX_VALUE - 8];", {DIED, FAILED}),
    "native_memory": (
        "java.util.List<Object> all = new java.util.ArrayList<>(); "
        "for (int i = 0; i < 1000; i++) all.add(java.nio.ByteBuffer.allocateDirect(1 << 26));",
        {DIED, FAILED},
    ),
    "recursion": ("new Object() { void f() { f(); } }.f();", {FAILED}),
    "threads": (
        "while (true) { Thread one = new Thread(() -> { while (true) { } }); one.start(); }",
        {DIED, FAILED, TIMED_OUT},
    ),
    "daemons": (
        "for (int i = 0; i < 50; i++) { Thread one = new Thread(() -> { synchronized (box) { box.notify(); } "
        "java.util.concurrent.locks.LockSupport.parkNanos(Long.MAX_VALUE); }); one.setDaemon(true); one.start(); }",
        {LEFT_THREADS},
    ),
    "hook": (
        "Runtime.getRuntime().addShutdownHook(new Thread(() -> { while (true) { } })); System.exit(0);",
        {TIMED_OUT},
    ),
    "interrupt": ("Thread.currentThread().interrupt(); Thread.sleep(1);", {FAILED}),
    "input": ('if (System.in.read() < 0) throw new IllegalStateException("nothing to read");', {FAILED}),
    "raw_input": (
        "if (new java.io.FileInputStream(java.io.FileDescriptor.in).read() < 0) fail();",
        {FAILED},
    ),
    "forged_reply": (
        'new java.io.FileOutputStream(java.io.FileDescriptor.out).write("x\\tpassed\\tclean\\t0\\t\\n".getBytes()); '
        "throw new IllegalStateException();",
        {FAILED},
    ),
    "flood": ("while (true) { System.out.println(box); System.err.println(box); }", {TIMED_OUT}),
    "raw_flood": (
        "java.io.OutputStream out = new java.io.FileOutputStream(java.io.FileDescriptor.out); "
        "byte[] much = new byte[1 << 20]; while (true) out.write(much);",
        {DIED, TIMED_OUT},
    ),
    "replaced_output": ("System.setOut(null); System.setErr(null); System.setIn(null); fail();", {FAILED}),
    "silenced": (
        "new java.io.FileOutputStream(java.io.FileDescriptor.out).close(); fail();",
        {DIED, FAILED, TIMED_OUT},
    ),
}


def verdict(pool: ExecutionPool, text: str, seconds: float = SECONDS) -> str:
    """Run a test with a text as its assertion, past every check of what the text says; return how it ends."""
    subject = subject_of(box())
    assert subject is not None
    unit = Unit(pool.new_folder(), sources_of(ExecuteSettings(), subject, text))
    assert pool.compile([unit]) == [None]

    def run(runner: Runner) -> TestOutcome:
        return runner.run(subject.test_class, subject.test_method, [unit.folder], seconds)

    [ended] = pool.each([subject], lambda batch: [run for _ in batch])
    return ended.ended


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_code_does_not_pass_and_the_next_test_does(pool: ExecutionPool, name: str) -> None:
    text, expected = HOSTILE[name]
    assert verdict(pool, text, SECONDS if TIMED_OUT in expected else PATIENCE) in expected
    assert verdict(pool, "assertEquals(3, box.size(0));", PATIENCE) == PASSED


def test_a_late_exit_is_not_blamed_on_the_next_test(pool: ExecutionPool) -> None:
    late = (
        "java.util.concurrent.ForkJoinPool.commonPool().execute("
        "() -> { try { Thread.sleep(1200); } catch (Exception e) { } System.exit(0); });"
    )
    assert verdict(pool, late, PATIENCE) == LEFT_THREADS
    assert verdict(pool, "Thread.sleep(2500);", PATIENCE) == PASSED


def test_changed_defaults_do_not_reach_the_next_test(pool: ExecutionPool) -> None:
    changes = (
        'System.setProperty("user.dir", "/nowhere"); System.setProperty("mine", "1"); '
        "java.util.Locale.setDefault(java.util.Locale.JAPAN); "
        'java.util.TimeZone.setDefault(java.util.TimeZone.getTimeZone("Asia/Tokyo"));'
    )
    asks = (
        'assertNull(System.getProperty("mine")); assertNotEquals("/nowhere", System.getProperty("user.dir")); '
        'assertEquals("", java.util.Locale.getDefault().getCountry()); '
        'assertEquals("UTC", java.util.TimeZone.getDefault().getID());'
    )
    assert verdict(pool, asks, PATIENCE) == PASSED
    assert verdict(pool, changes, PATIENCE) == PASSED
    assert verdict(pool, asks, PATIENCE) == PASSED


class TestInNamespaces:
    """What only namespaces protect; a machine that does not grant them says so."""

    @pytest.fixture(autouse=True)
    def _confined(self, pool: ExecutionPool) -> None:
        if pool.isolation == "none":
            pytest.skip("this machine grants no user namespaces")

    def test_files_outside_are_neither_written_nor_deleted(self, pool: ExecutionPool, tmp_path: Path) -> None:
        treasure = tmp_path / "treasure"
        treasure.write_text("gold", encoding="utf-8")
        path = f'java.nio.file.Path.of("{tmp_path}")'
        attacks = [
            f'java.nio.file.Files.writeString({path}.resolve("mine"), "x");',
            f'java.nio.file.Files.writeString({path}.resolve("treasure"), "x");',
            f'java.nio.file.Files.delete({path}.resolve("treasure"));',
            f'java.nio.file.Files.move({path}.resolve("treasure"), {path}.resolve("other"));',
        ]
        for attack in attacks:
            assert verdict(pool, attack, PATIENCE) == FAILED
        assert [file.name for file in tmp_path.iterdir()] == ["treasure"]
        assert treasure.read_text(encoding="utf-8") == "gold"

    def test_classes_of_other_tests_cannot_be_changed(self, pool: ExecutionPool) -> None:
        attack = (
            "java.nio.file.Path own = java.nio.file.Path.of("
            "Box.class.getProtectionDomain().getCodeSource().getLocation().toURI()); "
            'java.nio.file.Files.writeString(own.resolve("x"), "x");'
        )
        assert verdict(pool, attack, PATIENCE) == FAILED

    def test_files_written_where_a_test_runs_vanish(self, pool: ExecutionPool) -> None:
        writes = (
            'java.nio.file.Files.writeString(java.nio.file.Path.of("mine"), "x"); '
            'java.io.File.createTempFile("temporary", null);'
        )
        assert verdict(pool, writes, PATIENCE) == PASSED
        for home in pool.folder.glob("runner*"):
            assert list(home.iterdir()) == []

    def test_a_full_disk_is_the_tests_own(self, pool: ExecutionPool) -> None:
        fills = (
            "byte[] much = new byte[1 << 20]; for (int i = 0; i < 200; i++) "
            'java.nio.file.Files.write(java.nio.file.Path.of("f" + i), much);'
        )
        assert verdict(pool, fills, PATIENCE) == FAILED

    def test_there_is_no_network(self, pool: ExecutionPool) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
            assert verdict(pool, f'new java.net.Socket("127.0.0.1", {port}).close();', PATIENCE) == FAILED

    def test_other_processes_are_out_of_reach(self, pool: ExecutionPool) -> None:
        with subprocess.Popen(["sleep", "100"]) as bystander:
            attack = (
                f'new ProcessBuilder("kill", "-9", "{bystander.pid}").start().waitFor(); '
                f"ProcessHandle.of({bystander.pid}L).ifPresent(ProcessHandle::destroyForcibly);"
            )
            verdict(pool, attack)
            assert bystander.poll() is None
            bystander.kill()

    def test_no_process_can_be_started(self, pool: ExecutionPool) -> None:
        start = 'new ProcessBuilder(System.getProperty("java.home") + "/bin/java", "-version").start();'
        assert verdict(pool, start, PATIENCE) == FAILED


def test_no_secret_is_in_the_environment(pool: ExecutionPool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_TOKEN", "x")
    monkeypatch.setenv("JAVA_TOOL_OPTIONS", "-Dmine=1")
    verdict(pool, "System.exit(0);")  # The next process starts with this environment.
    asks = 'assertNull(System.getenv("SECRET_TOKEN")); assertNull(System.getProperty("mine"));'
    assert verdict(pool, asks, PATIENCE) == PASSED


def test_wrapped_in_assertions_it_fails_too_and_others_are_judged(toolchain: Toolchain) -> None:
    def wrapped(code: str) -> str:
        call = f"((java.util.concurrent.Callable<Integer>) () -> {{ {code} return 0; }}).call()"
        return f"assertEquals(0, {call}.intValue());"

    texts = {
        "honest": "assertEquals(3, box.size(1));",
        "exit": wrapped("System.exit(0);"),
        "loop": wrapped("while (box != null) { }"),
        "memory": wrapped(
            "java.util.List<long[]> all = new java.util.ArrayList<>(); while (box != null) all.add(new long[1 << 20]);"
        ),
        "threads": wrapped("while (box != null) { new Thread(() -> { while (true) { } }).start(); }"),
        "bare": "System.exit(0);",
        "wrong": "assertEquals(4, box.size(1));",
        "honest_too": "assertTrue(box.size(2) > 4);",
    }
    records = {name: box(name) for name in texts}
    subjects = {name: subject for name, one in records.items() if (subject := subject_of(one))}
    limits = ExecuteSettings(seconds=5.0)
    with ExecutionPool(toolchain, workers=2, heap_mb=64) as pool:
        references = list(gold_executions(pool, [subjects[name] for name in texts], limits))
        assert [gold.ended for gold in references] == [PASSED] * len(texts)
        cases = [Case(subjects[name], gold, text) for (name, text), gold in zip(texts.items(), references, strict=True)]
        executions = {one.id: one for one in predicted_executions(pool, cases, limits)}
    assert {name: one.passes for name, one in executions.items()} == {name: name.startswith("honest") for name in texts}
    assert all(one.compiles for one in executions.values())
    assert all(one.killed == 0 for one in executions.values() if not one.passes)
    assert executions["bare"].ended == NO_ASSERTION


def test_weaker_isolation_still_limits_time_and_memory(toolchain: Toolchain) -> None:
    with ExecutionPool(toolchain, workers=1, heap_mb=64, unconfined=True) as limited:
        for name in ("exit", "loop", "memory", "threads"):
            text, expected = HOSTILE[name]
            assert verdict(limited, text, SECONDS if TIMED_OUT in expected else PATIENCE) in expected, name
        assert verdict(limited, "assertEquals(3, box.size(0));", PATIENCE) == PASSED


def test_processes_end_with_their_workshop(toolchain: Toolchain) -> None:
    with ExecutionPool(toolchain, workers=1, heap_mb=64) as short:
        assert verdict(short, "assertTrue(true);", PATIENCE) == PASSED
        assert str(short.folder) in commands()
    assert str(short.folder) not in commands()
    assert not short.folder.exists()


def commands() -> str:
    return subprocess.run(["ps", "-ww", "-eo", "args"], capture_output=True, text=True, check=True).stdout
