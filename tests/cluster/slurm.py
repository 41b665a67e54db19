"""A real SLURM on this machine, in the shape of DelftBlue's GPU partitions: loopback only, fake GPUs, no installation.

python tests/cluster/slurm.py start     # as root; Debian's slurm-wlm, slurmdbd, munge and mariadb-server
python tests/cluster/slurm.py stop
"""

import os
import platform
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path("/tmp/assertkd-slurm")
DEFAULT_CONF = Path("/etc/slurm/slurm.conf")
ACCOUNT = "education-eemcs-msc-cs"
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "sacct")
ACCOUNTING_PROGRAMS = ("slurmdbd", "mariadbd", "mariadb-install-db")
NODES = ("a1", "a2", "v1")
GPUS_PER_NODE = 2


def missing_programs(accounting: bool = True) -> list[str]:
    """Return the programs that the cluster needs and this machine lacks."""
    search = os.environ["PATH"] + ":/usr/sbin:/sbin"
    wanted = (*PROGRAMS, *(ACCOUNTING_PROGRAMS if accounting else ()))
    return [name for name in wanted if shutil.which(name, path=search) is None]


@dataclass(frozen=True)
class Cluster:
    """Daemons with their files under `folder`: two nodes of `gpu-a100`, one of `gpu-v100` and `gpu-a100-small`.

    `urgent` is a partition over the A100 nodes whose jobs preempt those of `gpu-a100`. With `accounting` there is a
    slurmdbd with its database; without it only squeue and the list of finished jobs know what ran.
    """

    folder: Path = FOLDER
    accounting: bool = True

    @property
    def conf(self) -> Path:
        return self.folder / "etc" / "slurm.conf"

    @property
    def finished_jobs(self) -> Path:
        """The file in which the controller writes a line for every finished job."""
        return self.folder / "log" / "jobcomp.txt"

    def environment(self) -> dict[str, str]:
        """Return this process's environment with what a user of the cluster has set."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("SLURM_", "SBATCH_"))}
        path = f"{os.environ['PATH']}:/usr/sbin:/sbin"
        return kept | {"SLURM_CONF": str(self.conf), "SBATCH_ACCOUNT": ACCOUNT, "PATH": path}

    def ask(self, *command: str, check: bool = True) -> str:
        """Run one of SLURM's commands and return what it prints."""
        done = subprocess.run(command, env=self.environment(), capture_output=True, text=True, timeout=60)
        if check and done.returncode:
            raise RuntimeError(f"{' '.join(command)}: {done.stdout}{done.stderr}")
        return done.stdout

    def start(self) -> None:
        """Start all daemons and return when every node is idle."""
        if self.folder.exists():
            self.stop()
        for name in ("etc", "run", "log", "state", "munge", "db", *(f"spool/{node}" for node in NODES)):
            (self.folder / name).mkdir(parents=True)
        # munged refuses folders that others may write to.
        self.folder.chmod(0o755)
        (self.folder / "munge").chmod(0o711)
        self._start_munged()
        self.conf.write_text(self._slurm_conf())
        self._write_gres()
        # A job's inner srun is given an environment without SLURM_CONF, so it looks at the default place.
        DEFAULT_CONF.parent.mkdir(exist_ok=True)
        if DEFAULT_CONF.is_symlink():
            DEFAULT_CONF.unlink()
        if DEFAULT_CONF.exists():
            raise RuntimeError(f"{DEFAULT_CONF}: this machine has a SLURM of its own, which the tests do not touch")
        DEFAULT_CONF.symlink_to(self.conf)
        if self.accounting:
            self._start_accounting()
        self._run("slurmctld", "-f", str(self.conf))
        for node in NODES:
            self.start_node(node)
        wait_for(lambda: set(self.ask("sinfo", "-h", "-N", "-o", "%T", check=False).split()) == {"idle"}, "idle nodes")

    def start_node(self, node: str) -> None:
        """Start the slurmd of one node."""
        self._run("slurmd", "-N", node, "-f", str(self.conf))

    def kill_node(self, node: str) -> None:
        """Kill the slurmd of one node, as a crash would; its jobs' processes live on."""
        pid_file = self.folder / "run" / f"slurmd.{node}.pid"
        os.kill(int(pid_file.read_text()), signal.SIGKILL)

    def stop(self) -> None:
        """Cancel every job, stop the daemons by their pid files and remove the folder."""
        daemons = [*(f"slurmd.{node}" for node in NODES), "slurmctld", "slurmdbd", "mariadbd", "munged"]
        if self._pid("slurmctld") is not None:
            self.ask("scancel", "--user", "root", check=False)
            wait_for(lambda: not self.ask("squeue", "-h", check=False).strip(), "the jobs' end", seconds=20, must=False)
        for daemon in daemons:
            pid = self._pid(daemon)
            if pid is None:
                continue
            os.kill(pid, signal.SIGTERM)
            if not wait_for(lambda pid=pid: not _alive(pid), daemon, seconds=15, must=False):
                os.kill(pid, signal.SIGKILL)
        if DEFAULT_CONF.is_symlink() and DEFAULT_CONF.readlink() == self.conf:
            DEFAULT_CONF.unlink()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _pid(self, daemon: str) -> int | None:
        """Return the process of a daemon that its pid file names, where it lives."""
        try:
            pid = int((self.folder / "run" / f"{daemon}.pid").read_text())
        except (FileNotFoundError, ValueError):
            return None
        return pid if _alive(pid) else None

    def _run(self, *command: str) -> None:
        done = subprocess.run(command, env=self.environment(), capture_output=True, text=True, timeout=60)
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)}: {done.stdout}{done.stderr}")

    def _start_munged(self) -> None:
        key = self.folder / "munge" / "munge.key"
        key.write_bytes(secrets.token_bytes(128))
        key.chmod(0o400)
        files = {
            "key-file": key,
            "socket": self._socket,
            "pid-file": self.folder / "run" / "munged.pid",
            "log-file": self.folder / "log" / "munged.log",
            "seed-file": self.folder / "munge" / "munge.seed",
        }
        self._run("munged", "--force", *(f"--{option}={path}" for option, path in files.items()))

    @property
    def _socket(self) -> Path:
        return self.folder / "run" / "munge.sock"

    def _slurm_conf(self) -> str:
        host, run, log = platform.node().split(".")[0], self.folder / "run", self.folder / "log"
        controller, dbd, *daemons = free_ports(2 + len(NODES))
        accounting = "AccountingStorageType=accounting_storage/none"
        if self.accounting:
            self._dbd_port.write_text(str(dbd))
            accounting = f"""AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort={dbd}
AccountingStoragePass={self._socket}
AccountingStorageTRES=gres/gpu
AccountingStoreFlags=job_comment"""
        sizes = {"a1": (64, 512_000), "a2": (64, 512_000), "v1": (48, 256_000)}
        nodes = "\n".join(
            f"NodeName={node} NodeAddr=127.0.0.1 NodeHostname={host} Port={port} CPUs={sizes[node][0]} "
            f"RealMemory={sizes[node][1]} Gres=gpu:{GPUS_PER_NODE} State=UNKNOWN"
            for node, port in zip(NODES, daemons, strict=True)
        )
        return f"""ClusterName=assertkd
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
# Credentials live half a minute, so that a requeued job starts soon and not after two; a busy machine needs that long.
AuthInfo=socket={self._socket},cred_expire=30
CredType=cred/munge
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
SlurmctldPort={controller}
SlurmctldPidFile={run}/slurmctld.pid
SlurmdPidFile={run}/slurmd.%n.pid
SlurmctldLogFile={log}/slurmctld.log
SlurmdLogFile={log}/slurmd.%n.log
StateSaveLocation={self.folder}/state
SlurmdSpoolDir={self.folder}/spool/%n
PlugStackConfig=/dev/null
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SwitchType=switch/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=2
JobAcctGatherParams=OverMemoryKill
ReturnToService=2
SlurmdParameters=config_overrides
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=5,bf_interval=5,batch_sched_delay=1
PriorityType=priority/basic
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
JobRequeue=1
MinJobAge=3600
KillWait=10
InactiveLimit=0
SlurmctldTimeout=30
SlurmdTimeout=30
PropagateResourceLimits=NONE
{accounting}
JobCompType=jobcomp/filetxt
JobCompLoc={self.finished_jobs}
GresTypes=gpu
{nodes}
PartitionName=gpu-a100 Nodes=a1,a2 Default=YES MaxTime=1-00:00:00 State=UP PriorityTier=1
PartitionName=gpu-v100 Nodes=v1 MaxTime=1-00:00:00 State=UP PriorityTier=1
PartitionName=gpu-a100-small Nodes=v1 MaxTime=04:00:00 State=UP PriorityTier=1
PartitionName=urgent Nodes=a1,a2 MaxTime=01:00:00 State=UP PriorityTier=10
"""

    @property
    def _dbd_port(self) -> Path:
        return self.folder / "run" / "slurmdbd.port"

    def _write_gres(self) -> None:
        # A GPU is a device node to SLURM; these are /dev/null under other names.
        for index in range(GPUS_PER_NODE):
            os.mknod(self.folder / "run" / f"nvidia{index}", 0o666 | 0o020000, os.makedev(1, 3))
        lines = [
            f"NodeName={node} Name=gpu File={self.folder}/run/nvidia[0-{GPUS_PER_NODE - 1}] Flags=nvidia_gpu_env"
            for node in NODES
        ]
        (self.folder / "etc" / "gres.conf").write_text("\n".join(lines) + "\n")
        (self.folder / "etc" / "cgroup.conf").write_text("CgroupPlugin=cgroup/v1\n")

    def _start_accounting(self) -> None:
        database, run, log = self.folder / "db", self.folder / "run", self.folder / "log"
        (port,) = free_ports(1)
        self._run(
            *("mariadb-install-db", "--no-defaults", "--user=root", f"--datadir={database}"),
            *("--auth-root-authentication-method=normal", "--skip-test-db"),
        )
        with (log / "mariadbd.log").open("w") as output:
            subprocess.Popen(
                [
                    *("mariadbd", "--no-defaults", "--user=root", f"--datadir={database}"),
                    *(f"--socket={run}/mysql.sock", "--bind-address=127.0.0.1", f"--port={port}"),
                    *(f"--pid-file={run}/mariadbd.pid", "--innodb-buffer-pool-size=64M"),
                    *("--innodb-lock-wait-timeout=900", "--innodb-use-native-aio=0"),
                ],
                env=self.environment(),
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        client = ("mariadb", "--no-defaults", "-S", f"{run}/mysql.sock", "-u", "root")
        wait_for(lambda: _succeeds(self.environment(), *client, "-e", "select 1"), "the database")
        hosts = ("localhost", "127.0.0.1")
        users = "".join(f"create user 'slurm'@'{host}' identified by 'slurm';" for host in hosts)
        grants = "".join(f"grant all on accounting.* to 'slurm'@'{host}';" for host in hosts)
        self._run(*client, "-e", f"create database accounting; {users} {grants}")
        conf = self.folder / "etc" / "slurmdbd.conf"
        conf.write_text(f"""AuthType=auth/munge
AuthInfo=socket={self._socket}
DbdHost=localhost
DbdAddr=127.0.0.1
DbdPort={self._dbd_port.read_text()}
SlurmUser=root
PidFile={run}/slurmdbd.pid
LogFile={log}/slurmdbd.log
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort={port}
StorageUser=slurm
StoragePass=slurm
StorageLoc=accounting
""")
        conf.chmod(0o600)
        self._run("slurmdbd")
        wait_for(lambda: _succeeds(self.environment(), "sacctmgr", "-n", "show", "cluster"), "slurmdbd")
        for words in (
            ("cluster", "assertkd"),
            ("account", ACCOUNT),
            ("user", "root", f"account={ACCOUNT}"),
        ):
            self.ask("sacctmgr", "-i", "add", *words, check=False)


def wait_for(condition: Callable[[], bool], what: str, seconds: float = 60, must: bool = True) -> bool:
    """Wait until `condition` holds and return whether it does.

    Raises:
        TimeoutError: it must hold, and does not after `seconds`.
    """
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            if must:
                raise TimeoutError(f"waited {seconds:.0f} s for {what}")
            return False
        time.sleep(0.2)
    return True


def free_ports(count: int) -> list[int]:
    """Return TCP ports of the loopback interface that nobody listens on."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


def _alive(pid: int) -> bool:
    # A daemon that this process started stays a zombie until it is asked for.
    with suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _succeeds(environment: dict[str, str], *command: str) -> bool:
    return subprocess.run(command, env=environment, capture_output=True, timeout=10).returncode == 0


def main() -> None:
    """Start or stop the cluster, as the command line says."""
    cluster = Cluster()
    if sys.argv[1:] == ["start"]:
        cluster.start()
        print(cluster.ask("sinfo"), f"export SLURM_CONF={cluster.conf} SBATCH_ACCOUNT={ACCOUNT}", sep="\n")
    elif sys.argv[1:] == ["stop"]:
        cluster.stop()
    else:
        raise SystemExit(f"usage: python {sys.argv[0]} start|stop")


if __name__ == "__main__":
    main()
