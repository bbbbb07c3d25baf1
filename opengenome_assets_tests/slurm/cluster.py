"""A Slurm cluster of the tests' own: a controller and two nodes on this machine, in one folder, without systemd.

Its ports and sockets are its own, so that a Slurm on this machine is not touched. The nodes are two daemons that share
the machine's disk, so each folder of a node's own has the node's name in it.
"""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from opengenome_assets_tests.processes import free_port, wait_for

NODES = ("n1", "n2")
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "apptainer")

CONFIGURATION = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CryptoType=crypto/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
MpiDefault=none
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
ReturnToService=2
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=1,bf_interval=5
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SlurmdParameters=config_overrides
SwitchType=switch/none
InactiveLimit=0
MinJobAge=7200
KillWait=15
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
PartitionName=main Nodes=n1,n2 Default=YES MaxTime=01:00:00 State=UP PriorityTier=1
PartitionName=urgent Nodes=n1,n2 MaxTime=01:00:00 State=UP PriorityTier=2
"""


@dataclass(frozen=True)
class Slurm:
    """A cluster.

    Attributes
    ----------
    folder
        Keys, state and logs of its daemons.
    prefix
        Precedes each command of its user: one that runs others, elsewhere or as somebody else.
    """

    folder: Path
    prefix: tuple[str, ...] = ()

    def environment(self, **variables: str) -> dict[str, str]:
        """Return the environment of a user of the cluster, with only these settings made."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("OPENGENOME_", "SLURM_"))}
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        return {**clean, "PATH": path, "SLURM_CONF": str(self.folder / "slurm.conf"), **variables}

    def run(self, *command: str, ok: bool = True, text: str | None = None, **variables: str) -> str:
        """Run a command of the cluster's user and return what it printed; it has to succeed unless told."""
        answer = subprocess.run(
            [*self.prefix, *command],
            env=self.environment(**variables),
            input=text,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert not ok or answer.returncode == 0, f"{command}: {answer.stdout}\n{answer.stderr}"
        return answer.stdout

    def submit(self, home: Path, image: Path, *arguments: str, **settings: str) -> "Job":
        """Submit a job with the command that a user types."""
        said = self.run(
            "opengenome", "slurm", "submit", "--image", str(image), *arguments, OPENGENOME_HOME=str(home), **settings
        )
        number = re.search(r"Job (\d+)", said)
        assert number, said
        return Job(self, number[1], home)


@dataclass(frozen=True)
class Job:
    """A job, and its home."""

    slurm: Slurm
    number: str
    home: Path

    def state(self) -> dict[str, str]:
        """Return the fields that the controller shows."""
        shown = self.slurm.run("scontrol", "--oneliner", "show", "job", self.number)
        return dict(pair.split("=", 1) for pair in shown.split() if "=" in pair)

    def log(self) -> str:
        """Return what the job has printed."""
        file = self.home / "slurm" / f"{self.number}.log"
        return file.read_text() if file.exists() else ""

    def folder(self, restart: int = 0) -> Path:
        """Folder of the logs of Spark's services, after a number of restarts."""
        return self.home / "slurm" / f"{self.number}.{restart}"

    def ended(self, seconds: float = 900) -> str:
        """Wait until the job has ended; return its state."""

        def look() -> str:
            state = self.state()["JobState"]
            return "" if state in {"PENDING", "RUNNING", "COMPLETING", "REQUEUED"} else state

        return wait_for(look, f"end of job {self.number}: {self.log()}", seconds, every=1)

    def completed(self, seconds: float = 900) -> None:
        """Wait until the job has ended, and assert that it succeeded."""
        state = self.ended(seconds)
        logs = "\n".join(file.read_text() for file in sorted(self.home.glob("slurm/*/*.log")))
        assert state == "COMPLETED", f"{state}\n{self.log()}\n{logs}"

    def parts(self, table: str) -> set[Path]:
        """Return the finished parts of a table, of all versions."""
        return set((self.home / "tables" / table).rglob("_manifest.json"))

    def processes(self) -> list[int]:
        """Ids of the processes that belong to the job: those in containers have only the home in their environment."""
        marks = {os.fsencode(f"SLURM_JOB_ID={self.number}"), os.fsencode(f"OPENGENOME_HOME={self.home}")}
        return [int(folder.name) for folder in Path("/proc").glob("[0-9]*") if marks & variables_of(int(folder.name))]

    def worker(self, node: str) -> int:
        """Id of the process of a node's worker, below one that knows the node."""
        for pid in self.processes():
            with suppress(OSError):
                if b"deploy.worker.Worker" in Path(f"/proc/{pid}/cmdline").read_bytes():
                    above = pid
                    while above > 1:
                        if os.fsencode(f"SLURMD_NODENAME={node}") in variables_of(above):
                            return pid
                        status = Path(f"/proc/{above}/status").read_text()
                        above = int(status.partition("\nPPid:\t")[2].partition("\n")[0])
        raise LookupError(f"no worker of {node}")


def variables_of(pid: int) -> set[bytes]:
    """Return the environment of a process; nothing if it has ended."""
    with suppress(OSError):
        return set(Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"))
    return set()


@contextmanager
def cluster(folder: Path, prefix: tuple[str, ...] = ()) -> Iterator[Slurm]:
    """Start the daemons, each by a prefix; at the end, end all jobs and daemons."""
    slurm = Slurm(folder, prefix)
    for name in ("state", *(f"spool-{node}" for node in NODES)):
        (folder / name).mkdir(parents=True)
    (folder / "munge.key").write_bytes(os.urandom(1024))
    (folder / "munge.key").chmod(0o600)
    host = socket.gethostname()
    lines = [
        f"NodeName={node} NodeHostname={host} NodeAddr=127.0.0.1 Port={free_port()} CPUs=2 RealMemory=8000"
        for node in NODES
    ]
    configuration = CONFIGURATION.format(host=host, port=free_port(), folder=folder)
    head, word, partitions = configuration.partition("PartitionName")
    (folder / "slurm.conf").write_text(head + "\n".join(lines) + f"\n{word}{partitions}")
    munge = [f"--{what}={folder}/munge.{end}" for what, end in (
        ("key-file", "key"), ("socket", "socket"), ("pid-file", "pid"), ("log-file", "log"), ("seed-file", "seed")
    )]  # fmt: skip
    daemons = [["munged", "--force", "--foreground", *munge], ["slurmctld", "-D"]]
    daemons += [["slurmd", "-D", "-N", node] for node in NODES]
    started: list[subprocess.Popen[bytes]] = []
    try:
        with (folder / "daemons.log").open("ab") as log:
            for daemon in daemons:
                started.append(subprocess.Popen([*prefix, *daemon], env=slurm.environment(), stdout=log, stderr=log))
                time.sleep(1)
        wait_for(lambda: len(idle(slurm)) == len(NODES), "two idle nodes", 60, every=0.5)
        yield slurm
    finally:
        slurm.run("scancel", "--user=root", ok=False)
        with suppress(AssertionError):
            wait_for(lambda: not slurm.run("squeue", "--noheader", ok=False), "empty queue", 60, every=0.5)
        for process in reversed(started):
            process.send_signal(signal.SIGTERM)
            process.wait(30)


@contextmanager
def network_of_its_own() -> Iterator[tuple[str, ...]]:
    """A network with one address, from which nothing else can be reached; yields what runs a command in it."""
    holder = subprocess.Popen(["unshare", "--net", "sleep", "infinity"])
    inside = ("nsenter", f"--net=/proc/{holder.pid}/ns/net")
    try:
        wait_for(lambda: os.readlink(f"/proc/{holder.pid}/ns/net") != os.readlink("/proc/self/ns/net"), "network")
        for words in (
            "link set lo up",
            "link add node type veth peer name cable",
            "address add 198.51.100.1/24 dev node",
            "link set node up",
            "link set cable up",
        ):
            subprocess.run([*inside, "ip", *words.split()], check=True)
        yield inside
    finally:
        holder.kill()
        holder.wait()


def idle(slurm: Slurm) -> Sequence[str]:
    """Return the names of the nodes that wait for work."""
    said = slurm.run("sinfo", "--noheader", "--Node", "--states=idle", "--format=%N", ok=False)
    return sorted(set(said.split()))


def missing() -> list[str]:
    """Return the programs that are not installed."""
    return [name for name in PROGRAMS if not shutil.which(name)]
