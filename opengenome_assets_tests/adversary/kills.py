"""Runs that are killed at random moments: ``python -m opengenome_assets_tests.adversary.kills FOLDER SEED NUMBER``.

A process is forked for each run, so that Dagster is imported and the kernels are compiled once. A timer of the system
kills it after a random share of the CPU time that an undisturbed run takes: no code of the run sees the signal, and
other load on the machine moves nothing. The next run finds what the killed one left. Prints the outcome of each kill as
a line of JSON.
"""

import json
import os
import pickle
import random
import shutil
import signal
import sys
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from opengenome_assets.storage.tables import Home
from opengenome_assets_tests.corpora import Corpus, write_files
from opengenome_assets_tests.drafts import drafts
from opengenome_assets_tests.twice import FILES, LONG

QUERIES = f">q1\n{'ACGTTGCA' * 4}\n"


def rows(home: Home) -> dict[str, Any]:
    """The rows of every table, by its name."""
    return {name: home.table(name).read().to_pylist() for name in home.names()}


def forked(work: Callable[[], Any], cpu_seconds: float | None = None) -> tuple[int, float, Any]:
    """Run work in a forked process, killed after some CPU seconds; return wait status, CPU seconds and its result.

    Only forks open tables: the threads of delta-rs do not outlive a fork.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            if cpu_seconds is not None:
                signal.signal(signal.SIGPROF, signal.SIG_DFL)
                signal.setitimer(signal.ITIMER_PROF, cpu_seconds)
            with os.fdopen(writer, "wb") as pipe:
                pickle.dump(work(), pipe)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        content = pipe.read()
    _, status, used = os.wait4(child, 0)
    return status, used.ru_utime + used.ru_stime, pickle.loads(content) if status == 0 else None


def main(folder: Path, seed: int, number: int) -> None:
    """Kill runs in homes below a folder, and compare the tables after the next run with undisturbed ones."""
    chance = random.Random(seed)
    write_files(folder, {f"fasta/{name}": content for name, content in FILES.items()} | {"queries.fa": QUERIES})

    def corpus(home: str) -> Corpus:
        return Corpus(Home(str(folder / home)), str(folder / "fasta"), queries=str(folder / "queries.fa"))

    def materialise(home: str, **config: Any) -> tuple[int, float]:
        status, used, _ = forked(lambda: made(home, **config))
        return status, used

    def made(home: str, **config: Any) -> None:
        os.environ["OPENGENOME_HOME"] = str(folder / home)
        with drafts():
            corpus(home).materialize(**config)  # Dagster's records stay in memory; the tables are judged

    def tables(home: str) -> dict[str, Any]:
        status, _, found = forked(lambda: rows(corpus(home).home))
        assert status == 0, f"the tables of {home} cannot be read"
        found_rows: dict[str, Any] = found
        return found_rows

    # The first run and a second with another setting, undisturbed: their rows, and the CPU time that each takes.
    kinds: dict[str, dict[str, Any]] = {"first": {}, "second": LONG}
    expected, whole = {}, {}
    for kind, config in kinds.items():
        status, whole[kind] = materialise("reference", **config)
        assert status == 0
        expected[kind] = tables("reference")
        shutil.copytree(folder / "reference", folder / f"after-{kind}")
    assert expected["first"] != expected["second"]

    for case in range(number):
        home, kind = f"killed-{case}", chance.choice(list(kinds))
        config = kinds[kind]
        before = expected["first"] if kind == "second" else {}
        if before:
            shutil.copytree(folder / "after-first", folder / home)
        share = chance.uniform(0.1, 1.0)

        def files(place: Path = folder / home / "tables") -> set[Path]:
            return {path for path in place.rglob("*") if path.is_file()}

        known = files()
        status, _, _ = forked(partial(made, home, **config), share * whole[kind])
        left = tables(home)
        # A table is whole: it has its rows of before, or those of after.
        wrong = [name for name in left if left[name] not in (before.get(name), expected[kind].get(name))]
        wrong += [name for name in before if name not in left]
        wrote = files() != known
        again, _ = materialise(home, **config)
        after = tables(home)
        wrong += [name for name in expected[kind].keys() | after if after.get(name) != expected[kind].get(name)]
        result = {
            "case": case,
            "run": kind,
            "killed": os.WIFSIGNALED(status),
            "share": round(share, 2),
            "wrote": wrote,
            "committed": sum(left[name] != before.get(name) for name in left),
            "tables": len(expected[kind]),
            "again": again,
            "wrong": sorted(set(wrong)),
        }
        print(json.dumps(result), flush=True)
        shutil.rmtree(folder / home)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
