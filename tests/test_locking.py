"""One writer an output folder: whoever comes second waits, gives up, or takes over from the dead."""

import errno
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from assertkd import lock_holder
from assertkd.errors import UserError
from assertkd.locking import NAME, Timing, held

QUICK = Timing(touch=0.1, silence=1.0, patience=0.5)
ELSEWHERE = {"host": "elsewhere", "machine": "another", "boot": "another"}
HOLD = """
import sys, time
from pathlib import Path
from assertkd.locking import Timing, held
with held(Path(sys.argv[1]), timing=Timing(touch=0.1, silence=1.0, patience=0.5)):
    print("held", flush=True)
    time.sleep(float(sys.argv[2]))
"""


@pytest.fixture
def holding(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Return a function that starts another process which holds the lock of `tmp_path` for some seconds."""
    started = []

    def start(seconds: float = 60, **environment: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", HOLD, str(tmp_path), str(seconds)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | environment,
        )
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def squeue(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Return a function that puts a `squeue` on the path which runs these lines of shell."""
    folder = tmp_path_factory.mktemp("bin")

    def write(lines: str) -> None:
        program = folder / "squeue"
        program.write_text(f"#!/bin/sh\n{lines}\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")

    return write


def edit(folder: Path, **changes: object) -> None:
    """Rewrite the lock's record of its holder."""
    record = json.loads((folder / NAME).read_text()) | changes
    (folder / NAME).write_text(json.dumps(record))


def left_by(folder: Path, **changes: object) -> None:
    """Leave a lock behind as a holder does that died."""
    with held(folder, timing=QUICK):
        record = (folder / NAME).read_text()
    (folder / NAME).write_text(record)
    edit(folder, **changes)


def test_the_lock_names_its_holder_and_goes_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", "4711")
    with held(tmp_path / "new", timing=QUICK) as holder:
        record = json.loads((tmp_path / "new" / NAME).read_text())
        assert (record["pid"], record["slurm_job"]) == (os.getpid(), "4711")
        assert record["host"] == holder.host
        assert f"process {os.getpid()}" in str(holder)
        assert "SLURM job 4711, since 2" in str(holder)
    assert list((tmp_path / "new").iterdir()) == []


def test_parts_of_a_folder_are_written_side_by_side(tmp_path: Path) -> None:
    with (
        held(tmp_path, "train", timing=QUICK),
        held(tmp_path, "unlabelled", timing=QUICK),
        held(tmp_path, timing=QUICK),
    ):
        assert len(list(tmp_path.iterdir())) == 3
    assert list(tmp_path.iterdir()) == []


def test_a_fault_inside_releases_the_lock(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), held(tmp_path, timing=QUICK):
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_a_living_holder_is_refused_by_name(tmp_path: Path, holding: Callable[..., subprocess.Popen[str]]) -> None:
    other = holding(SLURM_JOB_ID="99")
    words = rf"is being written by process {other.pid} on .*, SLURM job 99"
    with pytest.raises(UserError, match=words) as fault, held(tmp_path, timing=QUICK):
        pass
    assert "scancel 99" in fault.value.remedy
    assert str(tmp_path / NAME) in fault.value.remedy
    assert other.poll() is None
    assert [path.name for path in tmp_path.iterdir()] == [NAME], "no draft is left"


def test_a_holder_that_is_about_to_end_is_waited_for(
    tmp_path: Path, holding: Callable[..., subprocess.Popen[str]]
) -> None:
    other = holding(0.4)
    with held(tmp_path, timing=Timing(touch=0.1, silence=60, patience=60)):
        assert other.wait(10) == 0


def test_a_killed_holder_on_this_machine_is_gone_at_once(
    tmp_path: Path, holding: Callable[..., subprocess.Popen[str]]
) -> None:
    other = holding()
    other.kill()
    other.wait()
    began = time.monotonic()
    with held(tmp_path, timing=Timing(touch=0.1, silence=3600, patience=3600)) as holder:
        assert holder.pid == os.getpid()
    assert time.monotonic() - began < 600, "it did not wait for silence"


def test_a_number_that_another_process_now_has_does_not_count_as_the_holder(tmp_path: Path) -> None:
    left_by(tmp_path, started_after_boot=0.5)
    with held(tmp_path, timing=Timing(touch=0.1, silence=3600, patience=3600)):
        pass


def test_a_machine_that_was_started_anew_has_no_holders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    left_by(tmp_path, boot="another start", machine=lock_holder.MACHINE_ID or "x")
    monkeypatch.setattr(lock_holder, "MACHINE_ID", lock_holder.MACHINE_ID or "x")
    with held(tmp_path, timing=Timing(touch=0.1, silence=3600, patience=3600)):
        pass


@pytest.mark.parametrize(
    "changes",
    [{"boot": "another", "machine": ""}, {"boot": "another", "machine": "another"}, {"container": "pid:[1]"}],
    ids=["another host of this name", "another machine of this name", "another container"],
)
def test_a_holder_whose_number_does_not_count_here_is_given_time_to_touch(
    tmp_path: Path, changes: dict[str, str]
) -> None:
    left_by(tmp_path, pid=2**31 - 1, **changes)
    began = time.monotonic()
    with held(tmp_path, timing=QUICK):
        assert time.monotonic() - began > QUICK.silence


def test_a_living_holder_is_known_after_this_machine_got_another_name() -> None:
    holder = lock_holder.Holder.here()
    assert not replace(holder, host="former name").is_gone()
    assert replace(holder, host="former name", started_after_boot=0.5).is_gone()


def test_a_step_of_the_clock_leaves_a_living_holder_its_lock(
    tmp_path: Path, holding: Callable[..., subprocess.Popen[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    other = holding()
    create_time = psutil.Process.create_time
    for step in (-3600.0, -5.0, 5.0, 3600.0):
        monkeypatch.setattr(psutil.Process, "create_time", lambda self, step=step: create_time(self) + step)
        with pytest.raises(UserError, match=f"process {other.pid} on"), held(tmp_path, timing=QUICK):
            pass
    assert other.poll() is None


def test_the_start_of_a_process_is_counted_from_the_boot() -> None:
    uptime = float(Path("/proc/uptime").read_text(encoding="ascii").split()[0])
    age = time.time() - psutil.Process().create_time()
    assert lock_holder.Holder.here().started_after_boot == pytest.approx(uptime - age, abs=5)


@pytest.mark.parametrize("state", ["COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "OUT_OF_MEMORY"])
def test_a_holder_elsewhere_is_gone_when_slurm_has_ended_its_job(
    tmp_path: Path, squeue: Callable[[str], None], state: str
) -> None:
    squeue(f"""case "$*" in *--jobs=7) echo {state};; *) exit 1;; esac""")
    left_by(tmp_path, **ELSEWHERE, slurm_job="7")
    with held(tmp_path, timing=Timing(touch=0.1, silence=3600, patience=3600)):
        pass


@pytest.mark.parametrize("answer", ["echo RUNNING", "echo COMPLETING", "echo NODE_FAIL", "exit 1"])
def test_a_holder_elsewhere_whose_processes_may_live_is_given_time_to_touch(
    tmp_path: Path, squeue: Callable[[str], None], answer: str
) -> None:
    squeue(answer)
    left_by(tmp_path, **ELSEWHERE, slurm_job="7")
    began = time.monotonic()
    with held(tmp_path, timing=QUICK):
        assert time.monotonic() - began > QUICK.silence


def test_a_holder_elsewhere_that_touches_the_lock_is_refused(
    tmp_path: Path, holding: Callable[..., subprocess.Popen[str]]
) -> None:
    left_by(tmp_path, **ELSEWHERE, slurm_job=None)
    script = f"import os, time\nfor _ in range(600): os.utime({str(tmp_path / NAME)!r}); time.sleep(0.1)"
    toucher = subprocess.Popen([sys.executable, "-c", script])
    try:
        with pytest.raises(UserError, match="on elsewhere"), held(tmp_path, timing=QUICK):
            pass
    finally:
        toucher.kill()
        toucher.wait()


def test_a_holder_that_slept_ends_when_it_sees_that_the_lock_is_anothers(
    tmp_path: Path, holding: Callable[..., subprocess.Popen[str]]
) -> None:
    sleeper = holding()
    edit(tmp_path, token="f" * 32)
    _, said = sleeper.communicate(timeout=60)
    assert sleeper.returncode == 1
    assert "another has taken its output folder" in said
    assert json.loads((tmp_path / NAME).read_text())["token"] == "f" * 32, "the other's lock stays"


def test_a_requeued_job_takes_over_from_its_own_earlier_start(
    tmp_path: Path, holding: Callable[..., subprocess.Popen[str]], squeue: Callable[[str], None]
) -> None:
    squeue("echo 0")
    earlier = holding(SLURM_JOB_ID="7")
    squeue("echo 1")
    os.environ["SLURM_JOB_ID"] = "7"
    try:
        with held(tmp_path, timing=Timing(touch=0.3, silence=3600, patience=3600)):
            assert earlier.poll() == 1, "the earlier start has ended before the later begins"
    finally:
        del os.environ["SLURM_JOB_ID"]


def test_two_processes_of_one_start_of_a_job_do_not_take_over_from_each_other(
    tmp_path: Path, holding: Callable[..., subprocess.Popen[str]], squeue: Callable[[str], None]
) -> None:
    squeue("echo 0")
    holding(SLURM_JOB_ID="7")
    os.environ["SLURM_JOB_ID"] = "7"
    try:
        with pytest.raises(UserError, match="SLURM job 7"), held(tmp_path, timing=QUICK):
            pass
    finally:
        del os.environ["SLURM_JOB_ID"]


def test_of_many_that_find_a_dead_holder_one_at_a_time_goes_on(tmp_path: Path) -> None:
    left_by(tmp_path, started_after_boot=0.5)
    script = """
import os, sys, time
from pathlib import Path
from assertkd.locking import Timing, held
folder = Path(sys.argv[1])
with held(folder / "out", timing=Timing(touch=0.05, silence=3600, patience=3600)):
    (folder / "inside").mkdir()
    time.sleep(0.05)
    (folder / "inside").rmdir()
"""
    left_by(tmp_path / "out", started_after_boot=0.5)
    crowd = [
        subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stderr=subprocess.PIPE, text=True)
        for _ in range(8)
    ]
    faults = [process.communicate(timeout=120)[1] for process in crowd]
    assert [process.returncode for process in crowd] == [0] * 8, "\n".join(faults)
    assert list((tmp_path / "out").iterdir()) == []


def test_a_link_that_leads_nowhere_is_no_lock(tmp_path: Path) -> None:
    (tmp_path / NAME).symlink_to("absent")
    with pytest.raises(UserError, match="is not a lock"), held(tmp_path, timing=QUICK):
        pass


@pytest.mark.parametrize(
    ("content", "changes"),
    [
        ("", {}),
        ("{}", {}),
        ("[]", {}),
        ("[" * 100_000, {}),
        (None, {"pid": "1"}),
        (None, {"pid": -1}),
        (None, {"pid": 2**40}),
        (None, {"started_after_boot": None}),
        (None, {"token": 1}),
        (None, {"token": "../elsewhere"}),
    ],
)
def test_a_file_that_is_no_lock_is_named(tmp_path: Path, content: str | None, changes: dict[str, object]) -> None:
    left_by(tmp_path, **changes)
    if content is not None:
        (tmp_path / NAME).write_text(content)
    with pytest.raises(UserError, match="is not a lock") as fault, held(tmp_path, timing=QUICK):
        pass
    assert fault.value.remedy == f"If no other process writes {tmp_path}, delete this file."


def test_a_disk_that_fails_for_a_moment_costs_nobody_the_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    faults = iter([OSError(errno.EIO, "x"), OSError(errno.ESTALE, "x")])
    read = Path.read_bytes

    def failing(path: Path) -> bytes:
        if (fault := next(faults, None)) is not None:
            raise fault
        return read(path)

    with held(tmp_path, timing=Timing(touch=0.02)):
        lock = next(tmp_path.iterdir())
        monkeypatch.setattr(Path, "read_bytes", failing)
        before = lock.stat().st_mtime_ns
        deadline = time.monotonic() + 60
        while lock.stat().st_mtime_ns == before and time.monotonic() < deadline:
            time.sleep(0.02)
        assert next(faults, None) is None
        assert lock.stat().st_mtime_ns > before
    assert not lock.exists()
