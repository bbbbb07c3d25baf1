"""A program that dies in the midst of taking and doing a job, at each place where it changes the disk.

It is killed at its first step on the disk, then at the second in a home of its own, and so on, until it is quick enough
to end. After each death the job is sent and done again. What then stands in the home is printed as JSON.
"""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas  # noqa: F401  # pyarrow imports it late, which takes each process a second

from opengenome_assets.engine.processes import Processes
from opengenome_assets.service.jobs.work import work_on_waiting
from opengenome_assets_tests.service.lines import KIND, jobs_in, send

KILLED = 9


def in_child(work: Callable[[], None]) -> int:
    """Run work in a process of its own, and return its exit code. This process never opens a table."""
    if child := os.fork():
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    code = 1
    try:
        work()
        code = 0
    finally:
        os._exit(code)


def whole(home: Path) -> None:
    """Send a job and do it."""
    jobs = jobs_in(home)
    send(jobs, home.parent / f"{home.name}-sent")
    work_on_waiting(jobs, KIND, Processes(1), "run", lambda _: None)


def dying(home: Path, steps: int) -> None:
    """Do the same, and die at a step."""
    left = steps

    def counted(change: Callable[..., Any]) -> Callable[..., Any]:
        def counting(*arguments: Any, **named: Any) -> Any:
            nonlocal left
            left -= 1
            if left < 0:
                os._exit(KILLED)
            return change(*arguments, **named)

        return counting

    for owner, name in ((os, "fsync"), (os, "link"), (os, "unlink"), (os, "mkdir"), (os, "rename"), (Path, "touch")):
        setattr(owner, name, counted(getattr(owner, name)))
    whole(home)


def report(home: Path, code: int) -> None:
    """Print what stands in a home."""
    jobs = jobs_in(home)
    found = jobs.all()
    queue = [path.name for path in (home / "jobs" / "waiting" / KIND.name).glob("*")]
    jobs.waiting(KIND)
    print(
        json.dumps(
            {
                "killed": code == KILLED,
                "states": [job.state for job in found],
                "rows": [job.home().table("line_counts").read().to_pylist() for job in found],
                "versions": [job.outcome.tables[0].version for job in found if job.outcome],
                "queue": len(queue),
            }
        ),
        flush=True,
    )


def main(folder: Path) -> None:
    """Die at every step."""
    for steps in range(200):
        home = folder / f"home{steps}"
        code = in_child(lambda home=home, steps=steps: dying(home, steps))  # type: ignore[misc]
        if code == KILLED:
            assert in_child(lambda home=home: whole(home)) == 0  # type: ignore[misc]
        in_child(lambda home=home, code=code: report(home, code))  # type: ignore[misc]
        if code != KILLED:
            return


if __name__ == "__main__":
    main(Path(sys.argv[1]))
