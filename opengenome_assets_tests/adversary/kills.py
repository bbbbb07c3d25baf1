"""Runs killed at random moments: ``python -m opengenome_assets_tests.adversary.kills FOLDER SEED KILLS SELECTION...``.

FOLDER holds ``home``, where everything is made, or nothing yet; the environment names the files, which have changed
since. For each selection one run is left alone: it gives the rows expected, its CPU time, and the moment of its first
write. Then as many runs as asked for are sent SIGKILL at random moments, each in a copy of the home of before. The next
run finds what the killed one left. Prints the outcome of each kill as a line of JSON. Without a selection, each asset
of every group is one in turn, and all together are the last.

A process is forked for each run, so that imports and first uses are paid for once. The moment is a share of the CPU
time of the run left alone, with its tools, so that other load on the machine moves nothing.
"""

import hashlib
import json
import os
import pickle
import random
import select
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import dagster as dg

from opengenome_assets import groups
from opengenome_assets.engine.preload import preload
from opengenome_assets.storage.tables import Home
from opengenome_assets_tests.adversary.everything import CONFIG, graph, materialize
from opengenome_assets_tests.corpora import failure
from opengenome_assets_tests.drafts import drafts

ALL = "*"
EARLY = 5  # of this many kills one comes before the first write, the others after it
LATEST = 0.97  # of the CPU time: after it most runs have ended
FILES = "read_alignments", "variant_files"  # tables whose rows have the path of a file
PICTURES = {".png", ".svg"}  # drafts: the same data give the same bytes
EVERY = 0.001  # seconds between two looks at a run
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class Ended:
    """A run that ended: whether it was killed, its result, its CPU seconds, and those before its first write."""

    killed: bool
    result: Any
    cpu: float
    quiet: float | None


def forked(
    work: Callable[[], Any], *, kill_after: float | None = None, written: bool = False, home: Path | None = None
) -> Ended:
    """Run work in a forked process, killed ``kill_after`` CPU seconds after its start or, if ``written``, first write.

    Only forks open tables: the threads of delta-rs do not outlive a fork.
    """
    known = stamps(home) if home else None
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            with os.fdopen(writer, "wb") as pipe:
                pickle.dump(work(), pipe)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    os.close(writer)
    content, cpu, quiet = b"", 0.0, None
    with os.fdopen(reader, "rb") as pipe:
        while not select.select([pipe], [], [], EVERY)[0]:
            cpu = max(cpu, seconds(child))
            if home and quiet is None and stamps(home) != known:
                quiet = cpu
            since = quiet if written else 0.0
            if kill_after is not None and since is not None and cpu >= since + kill_after:
                os.kill(child, signal.SIGKILL)
                kill_after = None
        content = pipe.read()
    _, status = os.waitpid(child, 0)
    killed = os.WIFSIGNALED(status)
    assert killed or status == 0, "a run failed: see above"
    return Ended(killed, None if killed else pickle.loads(content), cpu, quiet)


def seconds(process: int) -> float:
    """CPU seconds of a process and of the tools that it started, ended or not."""
    stat, tools = "", []
    with suppress(OSError):  # ended in the meantime
        stat = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2]
        tools = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    ended = sum(map(int, stat.split()[13:15])) / TICKS  # cutime and cstime: proc(5)
    clocks = [(~each << 3) | 2 for each in (process, *map(int, tools))]  # clock_getcpuclockid(3)
    running = 0.0
    for clock in clocks:
        with suppress(OSError):
            running += time.clock_gettime(clock)
    return ended + running


@dg.asset
def nothing() -> None:
    """Let Dagster make its records in memory once before a process is forked."""


def stamps(home: Path) -> set[tuple[str, int]]:
    """The files of a home and when each was written."""
    found = set()
    for folder, _, names in os.walk(home):
        for name in names:
            if name != ".lock":
                path = f"{folder}/{name}"
                try:
                    found.add((path, os.stat(path).st_mtime_ns))
                except FileNotFoundError:  # moved in the meantime
                    found.add((path, 0))
    return found


def state(home: Path) -> dict[str, Any]:
    """The rows of every table, and the digest of every picture and of each file that a row names, by its name."""
    opened = Home(str(home))
    found: dict[str, Any] = {name: opened.table(name).read().to_pylist() for name in opened.names()}
    files = [path for path in (home / "figures").glob("*") if path.suffix in PICTURES]
    files += [home / row["path"] for name in FILES if name in found for row in found[name]]
    for path in files:
        found[str(path.relative_to(home))] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def main(folder: Path, seed: int, kills: int, selections: Sequence[str]) -> None:
    """Kill runs in homes below a folder, and compare what they and the next runs leave with runs left alone."""
    chance = random.Random(seed)

    def make(home: Path, selection: str) -> None:
        os.environ["OPENGENOME_HOME"] = str(home)
        with drafts():
            result = materialize(groups.read_settings(), selection, may_fail=True, **CONFIG)  # keeps records in memory
        # Alone, an asset may be compared by a check with a table that is made later.
        allowed = set() if selection == ALL else {"DagsterAssetCheckFailedError"}
        found = {event.step_failure_data.error.cls_name for event in result.all_events if event.is_step_failure}
        assert found <= allowed, failure(result)

    def resumed(home: Path, selection: str) -> tuple[dict[str, Any], dict[str, Any]]:
        """What a killed run left, and what the next run makes of it."""
        left = state(home)
        make(home, selection)
        return left, state(home)

    preload(groups.passes())
    dg.materialize([nothing])
    stages = [(name, name) for name in selections or graph(groups.read_settings())]
    if not selections:
        stages.append((ALL, "everything"))
    first, case = folder / "home", 0
    first.mkdir(exist_ok=True)
    previous = first
    for selection, name in stages:
        before = first if selection == ALL else previous
        after, home = folder / f"after-{name}", folder / "killed"
        shutil.copytree(before, after)
        alone = forked(partial(make, after, selection), home=after)
        quiet = min(alone.quiet or 0.0, alone.cpu)
        old, new = (forked(partial(state, place)).result for place in (before, after))
        assert selection != ALL or old != new
        for _ in range(kills):
            shutil.copytree(before, home)
            known = stamps(home)
            early = case % EARLY == EARLY - 1
            moment = chance.uniform(0, quiet if early else max(0.0, alone.cpu * LATEST - quiet))
            run = forked(partial(make, home, selection), kill_after=moment, written=not early, home=home)
            wrote = stamps(home) != known
            left, again = forked(partial(resumed, home, selection)).result
            # Each is whole: it is as before, or as after.
            wrong = [each for each in old.keys() | left if left.get(each) not in (old.get(each), new.get(each))]
            wrong += [each for each in new.keys() | again if again.get(each) != new.get(each)]
            outcome = {
                "case": case,
                "selection": selection,
                "killed": run.killed,
                "moment": round((moment + (not early) * quiet) / alone.cpu, 2),
                "wrote": wrote,
                "changed": sum(left.get(each) != old.get(each) for each in new),
                "changes": sorted(each for each in new if new[each] != old.get(each)),
                "wrong": sorted(set(wrong)),
            }
            print(json.dumps(outcome), flush=True)
            shutil.rmtree(home)
            case += 1
        if before != first:
            shutil.rmtree(before)
        previous = after


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4:])
