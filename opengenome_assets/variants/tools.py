"""Tools: commands of samtools, bcftools and cutadapt, each in a process of its own.

Belongs here: running them in a pipeline, ending them in time, and their errors in words. Does not belong here: which
commands are run (``passes``).

The first two are those of pysam's wheel, so that every machine of one lock file has the same. They keep state in static
variables and may call ``exit``, so they never run in a worker's own process. A child ends with its parent, also if
that is killed, has a limit of memory, and is killed after a time limit.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib import metadata
from pathlib import Path
from typing import IO

MEMORY = 3 << 30  # bytes of address space; the resident part is below 1 GB
SECONDS = 6 * 3600.0

Command = tuple[str, ...]

_CHILD = """
import ctypes, os, resource, signal, sys
parent, memory, tool, command, *arguments = sys.argv[1:]
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    resource.setrlimit(resource.RLIMIT_AS, (int(memory), int(memory)))
if os.getppid() != int(parent):
    sys.exit("the process that started this one has ended")
if tool == "cutadapt":
    from cutadapt.cli import main
    main([command, *arguments])
    sys.exit()
os.environ["REF_PATH"] = os.environ["REF_CACHE"] = os.devnull  # no letters from elsewhere
import pysam, pysam.samtools, pysam.bcftools
try:
    getattr(getattr(pysam, tool), command)(*arguments, save_stdout="/dev/stdout")
except pysam.SamtoolsError as error:
    words = str(error).partition("stderr=")[2] or str(error)
    sys.exit(words.replace("\\\\n", "\\n").strip("'\\n"))
ctypes.CDLL(None).fflush(None)
"""


class ToolError(RuntimeError):
    """A command failed, or did not end in time. The message has the command and its last words."""


def versions() -> dict[str, str]:
    """Return the versions of the tools that make results, for records and keys."""
    from pysam.version import __bcftools_version__, __samtools_version__

    return {
        "samtools": __samtools_version__,
        "bcftools": __bcftools_version__,
        "bwa-mem3": metadata.version("bwa-mem3"),
        "cutadapt": metadata.version("cutadapt"),
    }


def run(
    *commands: Command,
    output: Path | None = None,
    feed: Callable[[IO[bytes]], None] | None = None,
    seconds: float = SECONDS,
) -> None:
    """Run commands as a pipeline, such as ``("samtools", "sort", "-o", "x.bam", "y.bam")``.

    Parameters
    ----------
    commands
        The tool, its command and its arguments. Each reads the output of the one before.
    output
        File for the output of the last.
    feed
        Writes the input of the first.
    seconds
        Time limit of the whole.

    Raises
    ------
    ToolError
        If a command fails, or the time is over.
    """
    with open(output or os.devnull, "wb") as file, _pipeline(commands, feed is not None, file, seconds) as processes:
        if feed:
            _feed(processes[0], feed)


@contextmanager
def reading(
    *commands: Command, feed: Callable[[IO[bytes]], None] | None = None, seconds: float = SECONDS
) -> Iterator[IO[bytes]]:
    """Run commands as a pipeline, and give the output of the last as a stream.

    ``feed`` writes the input of the first, in a thread. Raises the errors of `run`, and at the end those of ``feed``.
    """
    failures: list[BaseException] = []

    def write(process: subprocess.Popen[bytes], feed: Callable[[IO[bytes]], None]) -> None:
        try:
            _feed(process, feed)
        except BaseException as error:  # it is raised in the reader's thread
            failures.append(error)
            _kill([process])

    with _pipeline(commands, feed is not None, subprocess.PIPE, seconds) as processes:
        stream = processes[-1].stdout
        assert stream
        thread = threading.Thread(target=write, args=(processes[0], feed), daemon=True) if feed else None
        if thread:
            thread.start()
        try:
            yield stream
        except Exception as error:
            # The input's own error says more than that of a reader whose input ended early.
            if failures:
                raise failures[0] from error
            raise
        while stream.read(1 << 20):  # a command whose output nobody reads would wait for ever
            pass
        if thread:
            thread.join()
        if failures:
            raise failures[0]


def _feed(process: subprocess.Popen[bytes], feed: Callable[[IO[bytes]], None]) -> None:
    assert process.stdin
    with suppress(BrokenPipeError):  # its end, with its message, is what failed
        feed(process.stdin)
    with suppress(BrokenPipeError):
        process.stdin.close()


@contextmanager
def _pipeline(
    commands: Sequence[Command], fed: bool, output: IO[bytes] | int, seconds: float
) -> Iterator[list[subprocess.Popen[bytes]]]:
    processes: list[subprocess.Popen[bytes]] = []
    deadline = time.monotonic() + seconds
    with tempfile.TemporaryDirectory() as folder:
        logs = [Path(folder, str(number)) for number in range(len(commands))]
        watch: threading.Timer | None = None
        try:
            source: IO[bytes] | int | None = subprocess.PIPE if fed else subprocess.DEVNULL
            for number, (command, log) in enumerate(zip(commands, logs, strict=True)):
                last = number == len(commands) - 1
                with log.open("wb") as errors:
                    process = subprocess.Popen(
                        [sys.executable, "-I", "-c", _CHILD, str(os.getpid()), str(MEMORY), *command],
                        stdin=source,
                        stdout=output if last else subprocess.PIPE,
                        stderr=errors,
                    )
                if number and processes[-1].stdout:
                    processes[-1].stdout.close()
                processes.append(process)
                source = process.stdout
            watch = threading.Timer(seconds, _kill, [processes])
            watch.daemon = True
            watch.start()
            yield processes
            for process in processes:
                process.wait()
        finally:
            if watch:
                watch.cancel()
            _kill(processes)
        late = time.monotonic() > deadline
        failures = [
            _describe(command, process.returncode, log)
            for command, process, log in zip(commands, processes, logs, strict=True)
            if process.returncode not in (0, -13)  # SIGPIPE: the next one has ended
        ]
        if late:
            raise ToolError(f"{_words(commands[-1])}: not finished within {seconds:,.0f} s, and ended")
        if failures:
            raise ToolError("; ".join(failures))


def _kill(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        if process.poll() is None:
            process.kill()
            process.wait()


def _words(command: Command) -> str:
    return " ".join(command[:2])


def _describe(command: Command, code: int, log: Path) -> str:
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    how = f"killed by signal {-code}" if code < 0 else f"failed with {code}"
    return f"{_words(command)} {how}: {' | '.join(lines[-4:]) or 'no message'}"
