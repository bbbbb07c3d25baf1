"""Forks: a command's work in a copy of its process."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from opengenome_assets_tests.processes import started, wait_for

PROGRAM = """
import atexit, os, sys
from opengenome_assets.cli.processes import Fork, together

def work():
    atexit.register(lambda: print("hook", flush=True))
    print(os.environ["COLOUR"], len(os.environ), os.getsid(0) == os.getpid(), flush=True)
    print("error", file=sys.stderr)
    {work}

print("before")
fork = Fork(work, piped={piped})
read = (lambda lines: print([line.strip() for line in lines])) if {piped} else None
print("status", together(fork, environment={{"COLOUR": "green"}}, read=read))
"""


def output_of(work: str, *, piped: bool) -> str:
    """What a program prints whose fork does that work."""
    program = PROGRAM.format(work=work, piped=piped)
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert answer.returncode == 0, answer.stderr
    return answer.stdout


def test_a_fork_has_its_variables_session_hooks_and_status() -> None:
    assert output_of("", piped=True) == "before\n['green 1 True', 'error', 'hook']\nstatus 0\n"
    assert output_of("raise SystemExit(3)", piped=False) == "before\ngreen 1 True\nhook\nstatus 3\n"


def test_a_fork_that_fails_or_is_killed_says_so() -> None:
    assert output_of("raise ValueError", piped=False).endswith("hook\nstatus 1\n")
    assert output_of("os.kill(os.getpid(), 9)", piped=False) == "before\ngreen 1 True\nstatus 9\n"


def test_a_fork_ends_with_a_process_that_ends_before_it_starts(tmp_path: Path) -> None:
    program = (
        "import os, time; from opengenome_assets.cli.processes import Fork; "
        f"fork = Fork(lambda: open({str(tmp_path / 'begun')!r}, 'w').close(), piped=True); "
        f"open({str(tmp_path / 'pid')!r}, 'w').write(str(fork.pid)); time.sleep(600)"
    )

    def gone() -> bool:
        try:
            os.kill(int((tmp_path / "pid").read_text()), 0)
        except ProcessLookupError:
            return True
        return Path(f"/proc/{(tmp_path / 'pid').read_text()}/stat").read_text().split()[2] == "Z"

    with started([sys.executable, "-c", program], tmp_path / "home") as process:
        wait_for(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text(), "fork", 60)
        assert not gone()
        process.send_signal(signal.SIGKILL)
        wait_for(gone, "end of the fork", 30)
    assert not (tmp_path / "begun").exists()


def test_a_fork_that_is_not_started_ends_with_its_block() -> None:
    program = (
        "import os; from opengenome_assets.cli.processes import Fork\n"
        "with Fork(lambda: print('begun'), piped=False) as fork: pass\n"
        "print(fork.poll())"
    )
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert answer.stdout == "1\n", answer.stderr


def test_nothing_that_a_run_imports_before_its_fork_starts_a_python_thread_or_a_picture() -> None:
    program = (
        "import importlib, sys, threading; importlib.import_module('opengenome_assets.cli.run')._import(); "
        "import opengenome_assets.plots.images; "
        "print(threading.active_count(), sorted({'matplotlib', 'pandas', 'pyspark'} & sys.modules.keys()))"
    )
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert answer.stdout == "1 []\n", answer.stderr
