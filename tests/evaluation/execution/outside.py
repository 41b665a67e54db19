"""What lies outside of a confined process: files, sockets and a process that attacks try to reach."""

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

SECRET = "a text that is in no result"


@dataclass
class Outside:
    """What no test may touch, and open to every user.

    Attributes:
        folder: has the file `secret`.
        jars: copies of jars.
        servers: listening sockets; the first is one of TCP.
        fifo: the reading end of a FIFO.
        victim: a process that does nothing.
        places: what the words in capitals of an attack stand for.
    """

    folder: Path
    jars: list[Path]
    servers: list[socket.socket]
    fifo: int
    victim: "subprocess.Popen[bytes]"
    places: dict[str, str]

    def aimed(self, attack: str) -> str:
        """Return an attack on what is here."""
        for word, place in self.places.items():
            attack = attack.replace(word, place)
        return attack

    def touched(self) -> list[str]:
        """Return what was changed, connected to, written to or ended."""
        found = []
        for server in self.servers:
            server.setblocking(False)
            try:
                server.accept()
                found.append(f"connected to {server.getsockname()}")
            except BlockingIOError:
                pass
        files = [path.name for path in self.folder.iterdir()]
        found += [] if files == ["secret"] else files
        found += ["the file"] if (self.folder / "secret").read_text(encoding="utf-8") != SECRET else []
        found += ["the FIFO"] if os.read(self.fifo, 1) else []
        return found + ([] if self.victim.poll() is None else ["the process"])


@contextmanager
def outside(jars: Sequence[Path] = ()) -> Iterator[Outside]:
    """Make what lies outside, with copies of jars; every user may write to all of it."""
    # Not in pytest's folder, which every start of pytest closes to others.
    with TemporaryDirectory(prefix="outside-") as name:
        yield from _made(Path(name), jars)


def _made(folder: Path, jars: Sequence[Path]) -> Iterator[Outside]:
    (folder / "files").mkdir()
    (folder / "files" / "secret").write_text(SECRET, encoding="utf-8")
    (folder / "jars").mkdir()
    copies = [Path(shutil.copy(jar, folder / "jars" / jar.name)) for jar in jars]
    os.mkfifo(folder / "fifo")
    fifo = os.open(folder / "fifo", os.O_RDONLY | os.O_NONBLOCK)
    abstract = f"attacks-{os.getpid()}-{folder.name}"
    with ExitStack() as opened:
        opened.callback(os.close, fifo)
        tcp = opened.enter_context(socket.create_server(("127.0.0.1", 0)))
        servers = [tcp]
        for address in (str(folder / "socket"), f"\0{abstract}"):
            server = opened.enter_context(socket.socket(socket.AF_UNIX))
            server.bind(address)
            server.listen()
            servers.append(server)
        for path in (folder, *folder.rglob("*")):
            path.chmod(0o777)
        victim = opened.enter_context(subprocess.Popen(["sleep", "600"]))
        opened.callback(victim.kill)
        places = {"SOCKET": str(folder / "socket"), "FIFO": str(folder / "fifo"), "PORT": str(tcp.getsockname()[1])}
        places |= {"OUTSIDE": str(folder / "files"), "ABSTRACT": abstract, "VICTIM": str(victim.pid)}
        yield Outside(folder / "files", copies, servers, fifo, victim, places)
