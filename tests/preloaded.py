"""A Python whose programs start at once: each is forked off a process that has imported what takes seconds to import.

A driven Snakemake starts a process per job, and importing torch, transformers and Snakemake takes longer than most jobs
of a test. What tests which modules a program imports, or how fast, needs a fresh process; what runs other sources of
the project is forked off one that has the libraries alone.
"""

import atexit
import fcntl
import gc
import json
import multiprocessing
import os
import runpy
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

LIBRARIES = (
    *("torch._dynamo", "torch.distributed.tensor", "scipy.stats", "pandas", "pydantic", "filelock"),
    "sentence_transformers",
    *("snakemake.cli", "snakemake.executors.local", "snakemake_executor_plugin_slurm"),
    *("snakemake.report.html_reporter", "yte", "smart_open", "requests", "docutils.core", "docutils.parsers.rst"),
    *("transformers.models.t5.modeling_t5", "transformers.models.auto.modeling_auto", "transformers.generation"),
)
IMPORTED = (
    *("assertkd.cli", "assertkd.teacher.train_teacher", "assertkd.students.distill_student"),
    *("assertkd.logits.compress_logits", "assertkd.evaluation.score", "assertkd.report.build_report"),
    *("assertkd.cluster.account", "assertkd.cluster.params", "assertkd.outdated", "assertkd.dry_run"),
    *("assertkd.corpus.prepare_corpus", "assertkd.evaluation.predict", "assertkd.evaluation.execute"),
)
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE", "HF_HUB_OFFLINE": "1"}
"""What libraries read from the environment when they are imported, of it what the workflow sets for its jobs."""
PASSED_ON = (signal.SIGTERM, signal.SIGUSR1)
SHARED = {IMPORTED: "PRELOADED", (): "PRELOADED_LIBRARIES"}
"""Environment variables with the executables of whoever started this process."""
START_SECONDS = 300


@cache
def python(modules: tuple[str, ...] = IMPORTED) -> str:
    """Return the path of an executable that does what this Python does, with `LIBRARIES` and these modules imported.

    Its first programs wait until they are.
    """
    import shlex
    import shutil
    import subprocess
    import tempfile

    if shared := os.environ.get(SHARED[modules]):
        return shared
    folder = Path(tempfile.mkdtemp(prefix="preloaded"))
    executable, address = folder / "python", folder / "socket"
    # Isolated and without site packages, the client itself starts in hundredths of a second. A line `#!` could not hold
    # a path with blanks; to Python the shell's line is a text.
    executable.write_text(
        "#!/bin/sh\n"
        f"'''exec' {shlex.quote(sys.executable)} -IS \"$0\" \"$@\"\n' '''\n"
        f"import sys\nsys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        f"from preloaded import ask\nask({str(address)!r}, {sys.executable!r})\n",
        encoding="utf-8",
    )
    executable.chmod(0o755)
    server = subprocess.Popen(
        [python(()) if modules else sys.executable, __file__, str(address), str(executable), *(modules or LIBRARIES)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        env=os.environ | ENVIRONMENT,
    )
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    atexit.register(server.kill)
    return str(executable)


def ask(address: str, interpreter: str) -> NoReturn:
    """Have the program that the command line names started, and end as it ends."""
    # What `multiprocessing` passes on where the environment says so; it is for imports, and these are done.
    arguments = sys.argv[2:] if sys.argv[1:2] == ["-B"] else sys.argv[1:]
    if not arguments or not (arguments[0] in ("-m", "-c") or arguments[0].endswith(".py")):
        os.execv(interpreter, [interpreter, *sys.argv[1:]])
    group, passed = os.getpgid(0), [0, 1, 2, *inherited()]
    request = {"arguments": arguments, "folder": str(Path.cwd()), "environment": dict(os.environ), "group": group}
    request["descriptors"] = passed
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
        deadline = time.monotonic() + START_SECONDS
        while not Path(address).exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        connection.connect(address)
        signal.pthread_sigmask(signal.SIG_BLOCK, PASSED_ON)
        socket.send_fds(connection, [json.dumps(request).encode()], passed)
        program = int(connection.recv(64))
        for number in PASSED_ON:
            signal.signal(number, lambda number, _: os.kill(program, number))
        signal.pthread_sigmask(signal.SIG_UNBLOCK, PASSED_ON)
        # The terminal's Ctrl-C reaches the program too: it is of the same process group.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        code = os.waitstatus_to_exitcode(int(connection.recv(64)))
    if code < 0:
        if -code != signal.SIGKILL:
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code)


def inherited() -> list[int]:
    """Return the descriptors beyond the standard ones that whoever started this process passed to it."""
    numbers = [int(entry.name) for entry in Path("/proc/self/fd").iterdir()]
    open_numbers = [number for number in numbers if number > 2 and Path(f"/proc/self/fd/{number}").exists()]
    return [number for number in open_numbers if os.get_inheritable(number)]


def accept(address: str, modules: Sequence[str]) -> socket.socket:
    """Import the modules, and fork a process for each request; return in that process, with its connection."""
    for module in modules:
        import_module(module)
    gc.freeze()
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(f"{address}-")
        listener.listen(64)
        Path(f"{address}-").rename(address)
        # Nobody waits for the processes that watch programs.
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        while True:
            connection, _ = listener.accept()
            if os.fork() == 0:
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                return connection
            connection.close()


def receive(connection: socket.socket) -> dict[str, Any]:
    """Fork the program and watch it; return in the program, with the request and the client's standard files."""
    with connection:
        content, descriptors, _, _ = socket.recv_fds(connection, 1 << 20, 64)
        program = os.fork()
        if program:
            for descriptor in descriptors:
                os.close(descriptor)
            watch(connection, program)
    request: dict[str, Any] = json.loads(content)
    # Out of the way first: a number that is wanted may be another's.
    moved = [fcntl.fcntl(descriptor, fcntl.F_DUPFD, 1000) for descriptor in descriptors]
    for descriptor in descriptors:
        os.close(descriptor)
    for descriptor, number in zip(moved, request["descriptors"], strict=True):
        os.dup2(descriptor, number)
        os.close(descriptor)
    return request


def watch(connection: socket.socket, program: int) -> NoReturn:
    """Tell the client how the program ends; end the program if the client does."""
    connection.send(str(program).encode())
    ended = os.pidfd_open(program)
    ready, _, _ = select.select([ended, connection], [], [])
    if ended not in ready:
        os.kill(program, signal.SIGKILL)
    status = os.waitpid(program, 0)[1]
    if ended in ready:
        connection.send(str(status).encode())
    os._exit(0)


def run(request: dict[str, Any], executable: str) -> NoReturn:
    """Become the program of a request, and end as it ends, but leave the interpreter to the system to take down."""
    code: object = None
    try:
        run_program(request, executable)
    except SystemExit as ended:
        code = ended.code
    except Exception:  # noqa: BLE001 -- the interpreter's own answer to any
        sys.excepthook(*sys.exc_info())
        code = 1
    if isinstance(code, str):
        print(code, file=sys.stderr)
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        if not stream.closed:
            stream.flush()
    os._exit(code if isinstance(code, int) else int(code is not None))


def run_program(request: dict[str, Any], executable: str) -> None:
    """Run the program of a request in this process."""
    try:
        os.setpgid(0, request["group"])
    except PermissionError:
        # The client leads a session of its own, and so does the program.
        os.setsid()
    os.chdir(request["folder"])
    paths = [
        environment.get("PYTHONPATH", "").split(os.pathsep) for environment in (os.environ, request["environment"])
    ]
    os.environ.clear()
    os.environ.update(request["environment"])
    sys.path[1:] = [*filter(None, paths[1]), *(path for path in sys.path[1:] if path not in paths[0])]
    sys.executable = executable
    # What `multiprocessing` spawns.
    multiprocessing.set_executable(executable)
    kind, *rest = request["arguments"]
    if kind == "-m":
        sys.argv, sys.path[0] = rest, request["folder"]
        if not hasattr(sys.modules.get(rest[0]), "__path__"):
            # A module is to run as a whole; of a package its `__main__` does.
            sys.modules.pop(rest[0], None)
        runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
    elif kind == "-c":
        sys.argv, sys.path[0] = ["-c", *rest[1:]], ""
        exec(compile(rest[0], "<string>", "exec"), vars(sys.modules["__main__"]))
    else:
        sys.argv, sys.path[0] = [kind, *rest], str(Path(kind).resolve().parent)
        runpy.run_path(kind, run_name="__main__")


if __name__ == "__main__":
    run(receive(accept(sys.argv[1], sys.argv[3:])), sys.argv[2])
