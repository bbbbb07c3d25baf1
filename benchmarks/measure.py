"""Cost of work: CPU time and memory of a command with all its processes, and CPU time of a function.

Belongs here: measuring, on Linux, by the kernel's own accounts. Does not belong here: the work, and the targets.

Spark's daemon does not wait for its workers, so the kernel reports their CPU time to nobody. So the process tree is
sampled while it lives, and a worker counts with the CPU time of its last sample.
"""

import contextlib
import ctypes
import json
import os
import resource
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

REPOSITORY = Path(__file__).parents[1]
TICK = 1 / os.sysconf("SC_CLK_TCK")
WATCH_SECONDS = 0.04
ROUNDS = 5
LOOKS_A_WEIGHING = 5  # memory is asked for less often than CPU time: the kernel takes long to add it up
SIGCHLD_BIT = 1 << 16
PR_SET_CHILD_SUBREAPER = 36


class CommandError(RuntimeError):
    """A command failed; the message ends with the last lines that it printed."""


class UnequalError(RuntimeError):
    """Two ways to the same result gave different ones, so no figure of either counts."""


@dataclass(frozen=True)
class Cost:
    """Cost of a command with all processes that it started.

    Attributes
    ----------
    cpu, wall
        Seconds: user and system time of all processes, and by the clock.
    peak
        Highest sum of the processes' proportional set sizes (PSS), bytes.
    peaks
        Highest PSS of a single process of each kind, bytes: "driver", "JVM" and "worker" for Spark's, else its name.
    own_peaks
        The same without pages of files, which the system takes back when memory is short.
    times, cpu_until
        The CPU seconds that all processes together had used by a time (seconds since 1970), shape (samples,).
    printed
        The lines that the command printed.
    """

    cpu: float
    wall: float
    peak: int
    peaks: Mapping[str, int]
    own_peaks: Mapping[str, int]
    times: np.ndarray
    cpu_until: np.ndarray
    printed: Sequence[str]

    def cpu_between(self, start: float, end: float) -> float:
        """Return the CPU seconds used between two times (seconds since 1970)."""
        return float(np.diff(np.interp([start, end], self.times, self.cpu_until))[0])


@dataclass
class _Process:
    """The last sample of a process."""

    kind: str
    cpu: float = 0.0
    peak: int = 0
    own_peak: int = 0


class Watch:
    """Samples of the processes below this one, without the children that it had before and theirs."""

    def __init__(self, before: Collection[int] = ()) -> None:
        self.before = before
        self.seen: dict[tuple[int, int], _Process] = {}
        self.unreported: set[tuple[int, int]] = set()
        self.samples: list[tuple[float, float]] = [(time.time(), 0.0)]
        self.peak = 0
        self.looks = 0

    def look(self) -> None:
        """Take one sample."""
        total = 0
        self.looks += 1
        for pid in descendants(os.getpid(), self.before):
            try:
                pss = self._look_at(pid)
            except (FileNotFoundError, ProcessLookupError):  # ended in the meantime
                continue
            total += pss
        self.peak = max(self.peak, total)
        self.samples.append((time.time(), sum(process.cpu for process in self.seen.values())))

    def _look_at(self, pid: int) -> int:
        fields = _stat(pid)
        parent, started = int(fields[1]), int(fields[19])
        process = self.seen.setdefault((pid, started), _Process(_kind(pid)))
        process.kind = _kind(pid) or process.kind
        process.cpu = (int(fields[11]) + int(fields[12])) * TICK
        if _discards_children(parent):
            self.unreported.add((pid, started))
        pss, own = _memory(pid) if self.looks % LOOKS_A_WEIGHING == 1 else (0, 0)
        process.peak, process.own_peak = max(process.peak, pss), max(process.own_peak, own)
        return pss

    def peaks(self, of: Callable[[_Process], int]) -> dict[str, int]:
        """Return the highest of a figure of the processes of each kind."""
        peaks: dict[str, int] = {}
        for process in self.seen.values():
            peaks[process.kind] = max(peaks.get(process.kind, 0), of(process))
        return peaks

    def cpu_unreported(self) -> float:
        """Return the CPU seconds of processes that no parent waits for."""
        return sum(self.seen[process].cpu for process in self.unreported)


def run(command: Sequence[str], *, environment: Mapping[str, str] | None = None, folder: Path | None = None) -> Cost:
    """Run a command until it and all processes that it started have ended, and return the cost.

    Raises
    ------
    CommandError
        If it exits with another code than 0.
    """
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    own = set(children(os.getpid()))
    watch = Watch(own)
    with _adopted_orphans(), tempfile.TemporaryFile("w+", errors="replace") as log:
        process = subprocess.Popen(
            command, cwd=folder, env={**os.environ, **(environment or {})}, stdout=log, stderr=subprocess.STDOUT
        )
        while left := [pid for pid in children(os.getpid()) if pid not in own]:
            watch.look()
            status = _await(left[0], WATCH_SECONDS)
            if left[0] == process.pid:
                process.returncode = status
        wall = time.monotonic() - started
        log.seek(0)
        printed = log.read().splitlines()
    if process.returncode:
        tail = "\n".join(printed[-30:])
        raise CommandError(f"{' '.join(command)}: exit code {process.returncode}\n{tail}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    reported = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    times, cpu_until = np.array(watch.samples).T
    peaks, own_peaks = (watch.peaks(of) for of in (lambda each: each.peak, lambda each: each.own_peak))
    return Cost(reported + watch.cpu_unreported(), wall, watch.peak, peaks, own_peaks, times, cpu_until, printed)


def must_equal(what: str, ours: Any, theirs: Any) -> None:
    """Compare two results: numbers, arrays, or dictionaries of them.

    Raises
    ------
    UnequalError
        If they differ.
    """
    try:
        np.testing.assert_equal(ours, theirs)
    except AssertionError as error:
        raise UnequalError(f"{what} are not equal: {error}") from error


def timed(work: Callable[[], object], clock: Callable[[], Any] = time.thread_time) -> Any:
    """Return what a clock says that work takes; the default clock is the CPU time of this thread, in seconds."""
    before = clock()
    work()
    return clock() - before


def in_turn(
    *works: Callable[[], object],
    rounds: int = ROUNDS,
    clock: Callable[[], Any] = time.thread_time,
    pause: float = 0.0,
) -> npt.NDArray[np.float64]:
    """Time several pieces of work in turn, round after round, so that what the machine does meanwhile meets them all.

    Parameters
    ----------
    works
        The work.
    rounds
        Rounds that count; one goes before them.
    clock
        Returns seconds: a number, or an array of several clocks.
    pause
        Seconds before each piece of work. OpenMP's threads wait for more work without sleep, and would run on in the
        time of the next one.

    Returns
    -------
    float64 array of shape (works, rounds), or (works, rounds, clocks)
        Seconds.
    """

    def after_pause(work: Callable[[], object]) -> Any:
        time.sleep(pause)
        return timed(work, clock)

    for work in works:
        work()
    return np.moveaxis(np.array([[after_pause(work) for work in works] for _ in range(rounds)], np.float64), 0, 1)


def both_clocks() -> npt.NDArray[np.float64]:
    """Return the seconds by the clock on the wall, and those of the CPU by all threads, shape (2,)."""
    return np.array([time.perf_counter(), time.process_time()])


def in_fresh_process(module: str, function: str, *arguments: Any) -> tuple[Any, Cost]:
    """Call a function in a new Python process, and return its result and the cost of the process.

    Arguments and result travel as JSON.
    """
    program = (
        f"import json, sys; from {module} import {function}; "
        f"print('\\n' + json.dumps({function}(*json.loads(sys.argv[1]))))"
    )
    cost = run([sys.executable, "-c", program, json.dumps(arguments)], folder=REPOSITORY)
    return json.loads(cost.printed[-1]), cost


def tree_cpu() -> float:
    """Return the CPU seconds of this process, those below it and those they waited for."""
    ticks = 0
    for pid in [os.getpid(), *descendants(os.getpid())]:
        fields = _stat(pid)
        ticks += sum(map(int, fields[11:15]))
    return ticks * TICK


def descendants(ancestor: int, without: Collection[int] = ()) -> list[int]:
    """Return the processes below one, without some of its children and theirs."""
    found = [pid for pid in children(ancestor) if pid not in without]
    for pid in found:  # which grows on the way
        found += children(pid)
    return found


def children(parent: int) -> list[int]:
    """Return the children of a process, also those adopted from ended parents."""
    found: list[int] = []
    for file in Path(f"/proc/{parent}/task").glob("*/children"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # the thread has ended in the meantime
            found += map(int, file.read_text().split())
    return found


@contextlib.contextmanager
def _adopted_orphans() -> Iterator[None]:
    """Adopt processes whose parents end, for a time, so that this process can wait for them."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        yield
    finally:
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)


def _await(pid: int, seconds: float) -> int | None:
    """Wait for a child up to a maximum time, and return its exit code if it has ended."""
    descriptor = os.pidfd_open(pid)
    try:
        ended, _, _ = select.select([descriptor], [], [], seconds)
    finally:
        os.close(descriptor)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) if ended else None


def _stat(pid: int) -> list[str]:
    """Return the fields of /proc/PID/stat after the name, which may hold blanks."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()


def _discards_children(pid: int) -> bool:
    status = Path(f"/proc/{pid}/status").read_text()
    ignored = next(line for line in status.splitlines() if line.startswith("SigIgn:"))
    return bool(int(ignored.split()[1], 16) & SIGCHLD_BIT)


def _memory(pid: int) -> tuple[int, int]:
    """Return the PSS of a process, and that without pages of files, bytes."""
    lines = (line.split() for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines())
    sizes = {line[0]: int(line[1]) * 1024 for line in lines if line[0] in ("Pss:", "Pss_File:")}
    pss = sizes.get("Pss:", 0)
    return pss, pss - sizes.get("Pss_File:", 0)


def _kind(pid: int) -> str:
    arguments = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    name = Path(arguments[0]).name
    if name == "java":
        return "JVM"
    if "opengenome_assets.engine.daemon" in arguments:
        return "worker"
    return "driver" if name.startswith("python") else name
