"""What a test leaves behind does not reach the next one, and what it needs to know of the machine is little."""

import subprocess

import pytest
from attacks import ATTACKS
from java_source import box

from assertkd.evaluation.execution.compiler import Unit
from assertkd.evaluation.execution.gold import sources_of
from assertkd.evaluation.execution.jdk import Toolchain
from assertkd.evaluation.execution.pool import ExecutionPool
from assertkd.evaluation.execution.runner import (
    DIED,
    FAILED,
    LEFT_THREADS,
    PASSED,
    TIMED_OUT,
    Runner,
    TestOutcome,
    reaches_into_jvm,
)
from assertkd.evaluation.execution.units import subject_of
from assertkd.settings import ExecuteSettings

pytestmark = pytest.mark.java

PATIENCE = 30.0
"""Limit of tests that are to pass, however busy the machine is."""


def verdict(pool: ExecutionPool, text: str, seconds: float = PATIENCE) -> str:
    """Run a test with a text as its assertion, past every check of what the text says; return how it ends."""
    subject = subject_of(box())
    assert subject is not None
    unit = Unit(pool.new_folder(), sources_of(ExecuteSettings(), subject, text))
    assert pool.compile([unit]) == [None]

    def run(runner: Runner) -> TestOutcome:
        return runner.run(subject.test_class, subject.test_method, [unit.folder], seconds)

    [ended] = pool.each([subject], lambda batch: [run for _ in batch])
    return ended.ended


def test_a_late_exit_is_not_blamed_on_the_next_test(pool: ExecutionPool) -> None:
    late = (
        "java.util.concurrent.ForkJoinPool.commonPool().execute("
        "() -> { try { Thread.sleep(1200); } catch (Exception e) { } System.exit(0); });"
    )
    assert verdict(pool, late) == LEFT_THREADS
    assert verdict(pool, "Thread.sleep(2500);") == PASSED


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
    assert verdict(pool, asks) == PASSED
    assert verdict(pool, changes) == PASSED
    assert verdict(pool, asks) == PASSED


LEFT = {
    "file": ('java.io.File.createTempFile("left", null);', 'assertEquals(0, new java.io.File(".").list().length);'),
    "property": ('System.setProperty("left", "1");', 'assertNull(System.getProperty("left"));'),
    "handler": (
        "Thread.setDefaultUncaughtExceptionHandler((thread, thrown) -> { });",
        "assertNull(Thread.getDefaultUncaughtExceptionHandler());",
    ),
    "stream": ("System.setOut(null);", "assertNotNull(System.out);"),
    "pool": (
        "assertEquals(45, java.util.stream.IntStream.range(0, 10).parallel().sum());",
        "assertEquals(0, java.util.concurrent.ForkJoinPool.commonPool().getPoolSize());",
    ),
}


@pytest.mark.parametrize("name", LEFT)
def test_a_process_in_which_something_is_left_runs_no_other_test(pool: ExecutionPool, name: str) -> None:
    leaves, asks = LEFT[name]
    assert verdict(pool, asks) == PASSED
    assert verdict(pool, leaves) == PASSED, "what is left is no failure of its own"
    assert verdict(pool, asks) == PASSED


@pytest.mark.parametrize(
    ("body", "reaches"),
    [
        ('Runnable f = () -> System.out.println(1); String s = this + "a"; Thread t = new Thread(f);', False),
        ("enum E { A } record R(int a) { } Class<?> c = getClass(); int[] a = {1};", False),
        ('Object f() throws Exception { return Class.forName("T"); }', True),
        ('Object f() throws Exception { return T.class.getDeclaredField("a"); }', True),
        ("java.lang.invoke.MethodHandle f;", False),
        ("void f(java.lang.invoke.MethodHandle h) throws Throwable { h.invoke(); }", True),
        ("Object f() { return Runtime.getRuntime(); }", True),
        ("Object f() { return new RuntimeException(); }", False),
        ("sun.misc.Unsafe f;", True),
    ],
)
def test_classes_that_name_ways_into_the_process_are_known(pool: ExecutionPool, body: str, reaches: bool) -> None:
    unit = Unit(pool.new_folder(), {"T.java": f"public class T {{ {body} }}"})
    assert pool.compile([unit]) == [None]
    assert reaches_into_jvm(unit.folder) == reaches


def test_no_secret_is_in_the_environment(pool: ExecutionPool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_TOKEN", "x")
    monkeypatch.setenv("JAVA_TOOL_OPTIONS", "-Dmine=1")
    verdict(pool, "System.exit(0);")  # The next process starts with this environment.
    asks = 'assertNull(System.getenv("SECRET_TOKEN")); assertNull(System.getProperty("mine"));'
    assert verdict(pool, asks) == PASSED


def test_without_confinement_time_and_memory_are_limited_too(toolchain: Toolchain) -> None:
    expected = {"exit": {DIED}, "loop": {TIMED_OUT}, "heap": {DIED}, "recursion": {FAILED}, "daemon": {LEFT_THREADS}}
    with ExecutionPool(toolchain, workers=1, heap_mb=64, unconfined=True) as unconfined:
        for name, ways in expected.items():
            assert verdict(unconfined, ATTACKS[name], 2.0 if TIMED_OUT in ways else PATIENCE) in ways, name
        assert verdict(unconfined, "assertEquals(3, box.size(0));") == PASSED


def test_processes_end_with_their_workshop(toolchain: Toolchain) -> None:
    with ExecutionPool(toolchain, workers=1, heap_mb=64) as short:
        assert verdict(short, "assertTrue(true);") == PASSED
        assert str(short.folder) in commands()
    assert str(short.folder) not in commands()
    assert not short.folder.exists()


def commands() -> str:
    return subprocess.run(["ps", "-ww", "-eo", "args"], capture_output=True, text=True, check=True).stdout
