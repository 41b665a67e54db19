"""What a test leaves behind does not reach the next one, and what it needs to know of the machine is little."""

import os
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from attacks import ATTACKS, J
from java_source import box
from processes import all_ended, commands

from assertkd.errors import UserError
from assertkd.evaluation.execution import pool as pool_module
from assertkd.evaluation.execution.compiler import Unit
from assertkd.evaluation.execution.confine import FIRST_USER, USERS, CannotConfineError, may_be_anybody
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
    "format_locale": (
        "java.util.Locale.setDefault(java.util.Locale.Category.FORMAT, java.util.Locale.GERMANY);",
        'assertEquals("1.5", String.format("%.1f", 1.5));',
    ),
    "display_locale": (
        "java.util.Locale.setDefault(java.util.Locale.Category.DISPLAY, java.util.Locale.GERMANY);",
        'assertEquals("", java.util.Locale.getDefault(java.util.Locale.Category.DISPLAY).getLanguage());',
    ),
    "properties": (
        "System.setProperties(new java.util.Properties() { { putAll(System.getProperties()); } "
        'public String getProperty(String key) { return "forged"; } });',
        'assertEquals("UTC", System.getProperty("user.timezone"));',
    ),
    "property_of_another_type": (
        'System.getProperties().put("user.dir", new Object() { '
        "public boolean equals(Object other) { return true; } public int hashCode() { return 1; } });",
        'assertNotNull(System.getProperty("user.dir"));',
    ),
    "zone": (
        'java.util.TimeZone.setDefault(new java.util.SimpleTimeZone(3600000, "UTC") { int asked; '
        'public Object clone() { return asked++ == 1 ? java.util.TimeZone.getTimeZone("UTC") : this; } });',
        "for (int i = 0; i < 20; i++) assertEquals(0, java.util.TimeZone.getDefault().getRawOffset());",
    ),
    "open_files": (
        "java.util.List<java.io.FileInputStream> all = new java.util.ArrayList<>(); "
        'try { for (;;) all.add(new java.io.FileInputStream("/dev/null")); } '
        "catch (java.io.IOException full) { for (int i = 0; i < 5; i++) all.get(i).close(); }",
        'for (int i = 0; i < 9; i++) new java.io.FileInputStream("/dev/zero").read();',
    ),
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


def test_a_thread_that_claims_to_be_another_is_seen(pool: ExecutionPool) -> None:
    hidden = (
        "Thread[] all = new Thread[9]; Thread.currentThread().getThreadGroup().getParent().enumerate(all); "
        "int like = all[0].hashCode(); Thread one = new Thread() { "
        "public void run() { try { Thread.sleep(1500); } catch (Exception e) { } System.exit(0); } "
        "public boolean equals(Object other) { return true; } public int hashCode() { return like; } }; "
        "one.start();"
    )
    assert verdict(pool, hidden) == LEFT_THREADS


def test_threads_that_the_jdk_keeps_are_no_test_s(pool: ExecutionPool) -> None:
    late = 'new java.util.concurrent.CompletableFuture<String>().completeOnTimeout("a", 1, '
    assert verdict(pool, f'assertEquals("a", {late}java.util.concurrent.TimeUnit.MILLISECONDS).get());') == PASSED


def test_what_takes_too_long_in_a_used_process_is_run_again_alone(
    pool: ExecutionPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert verdict(pool, "assertTrue(true);") == PASSED
    request, asked = Runner._request, []

    def slow_once(runner: Runner, test: str, method: str, folders: Sequence[Path], seconds: float) -> TestOutcome:
        asked.append(test)
        return request(runner, test, method, folders, 0.0 if len(asked) == 1 else seconds)

    monkeypatch.setattr(Runner, "_request", slow_once)
    assert verdict(pool, "assertTrue(true);") == PASSED
    assert len(asked) == 3, "once in the used process, then, warmed up, in a new one"


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
        ('void f() { System.load("/l.so"); }', True),
        ("void load() { } java.util.List<Integer> f = java.util.List.of(1).stream().map(i -> i + 1).toList();", False),
        ("Object f() { return java.lang.invoke.MethodHandles.lookup(); }", True),
        ("protected void finalize() { }", True),
        ('Object f() { return java.util.logging.Logger.getLogger("a"); }', True),
        ("Object f() throws Exception { return new java.io.ObjectInputStream(System.in).readObject(); }", True),
        ("java.io.File f; java.nio.file.Path p; java.time.LocalDate d; java.math.BigInteger i; java.net.URI u;", False),
        ("int f(Object o) { try { return o.hashCode(); } catch (RuntimeException e) { return 0; } }", False),
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


def refuse(java: Path) -> None:
    raise CannotConfineError("not here")


def test_without_confinement_time_and_memory_are_limited_too(
    toolchain: Toolchain, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool_module, "find_confinement", refuse)
    expected = {"exit": {DIED}, "loop": {TIMED_OUT}, "heap": {DIED}, "recursion": {FAILED}, "daemon": {LEFT_THREADS}}
    with ExecutionPool(toolchain, workers=1, heap_mb=64, unconfined=True) as unconfined:
        assert unconfined.isolation == "none"
        for name, ways in expected.items():
            assert verdict(unconfined, ATTACKS[name], 2.0 if TIMED_OUT in ways else PATIENCE) in ways, name
        assert verdict(unconfined, "assertEquals(3, box.size(0));") == PASSED
        user = f'(Integer) {J}getAttribute({J}createTempFile("own", null), "unix:uid")'
        first, users = (FIRST_USER, USERS) if may_be_anybody() else (os.geteuid(), 1)
        assert (
            verdict(unconfined, f"int user = {user}; assertTrue(user >= {first} && user - {first} < {users});")
            == PASSED
        )
        # A file that is left ends the process; the next one must not find it.
        again = 'assertTrue(new java.io.File("left").createNewFile());'
        deep = 'assertTrue(new java.io.File("a/".repeat(1500)).mkdirs());'
        for text in (again, again, deep, again):
            assert verdict(unconfined, text) == PASSED
        folder = unconfined.folder
    assert not folder.exists()


def test_root_runs_nothing_unconfined_with_what_is_closed_to_others(
    toolchain: Toolchain, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool_module, "find_confinement", refuse)
    monkeypatch.setattr(pool_module, "may_be_anybody", lambda: True)
    with tempfile.TemporaryDirectory() as made:
        above = Path(made)
        above.chmod(0o711)
        monkeypatch.setattr(tempfile, "tempdir", str(above))
        classes = above / "parent" / "classes"
        classes.mkdir(parents=True)
        for parent, mode, closed in (
            (0o711, 0o755, None),
            (0o711, 0o754, "x"),
            (0o711, 0o751, "r"),
            (0o744, 0o755, "x"),
        ):
            classes.parent.chmod(parent)
            classes.chmod(mode)
            if closed is None:
                assert ExecutionPool(toolchain, [classes], unconfined=True).isolation == "none"
                continue
            part = classes if parent == 0o711 else classes.parent
            with pytest.raises(UserError, match=re.escape(f"({part} is closed to others)")) as refusal:
                ExecutionPool(toolchain, [classes], unconfined=True)
            assert f"chmod o+{closed} {part}," in str(refusal.value)


def test_what_can_be_confined_is_confined_even_where_it_need_not_be(toolchain: Toolchain) -> None:
    assert ExecutionPool(toolchain, unconfined=True).isolation == "bubblewrap"


def test_no_jvm_starts_where_nothing_is_compiled(toolchain: Toolchain) -> None:
    with ExecutionPool(toolchain, workers=1) as idle:
        assert idle.compile([]) == []
        assert str(idle.folder) not in commands()


def test_frameworks_that_the_runner_does_not_compile_with_are_said(
    toolchain: Toolchain, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool_module, "programs", lambda libraries: {"Runner.java": "class Runner { absent.Type a; }"})
    with ExecutionPool(toolchain, workers=1) as broken:
        for _ in range(2):
            with pytest.raises(UserError, match=r"the program that runs tests does not compile \(.*absent"):
                broken.compile([Unit(broken.new_folder(), {"A.java": "class A { }"})])


def test_processes_end_with_their_pool(toolchain: Toolchain) -> None:
    with ExecutionPool(toolchain, workers=1, heap_mb=64) as short:
        assert verdict(short, "assertTrue(true);") == PASSED
        assert str(short.folder) in commands()
    assert all_ended(str(short.folder))
    assert not short.folder.exists()
