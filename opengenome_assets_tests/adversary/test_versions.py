"""A random walk over versions, typed as commands: no version that is kept ever changes its rows.

The machine knows the rows of every version since it was made. After every step it reads all versions of the home and of
its copy: each has these rows, or is no longer kept, which only `prune` and `upkeep` may cause, and not to a pinned one.
A command that refuses says so in words that are listed here.
"""

import os
import re
import shutil
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any, ClassVar

import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from opengenome_assets.cli import main
from opengenome_assets.lineage.failures import open_instance
from opengenome_assets.operations.checkout import state_after
from opengenome_assets.storage.snapshot import MissingVersionError
from opengenome_assets.storage.tables import Home
from opengenome_assets_tests.corpora import Corpus
from opengenome_assets_tests.shared import copied
from opengenome_assets_tests.twice import Twice, use

TABLES = ["raw_fasta", "sequence_shards", "sequence_stats", "kmer_", "kmer_freq_k2"]
# What a command may refuse in a walk, and the beginning of what it says then.
GONE = r"Error: (.*: )?\w+: version \d+ cannot be read any more: "
OTHER = r"Error: \w+: version \d+ of \S+ and version \d+ of \S+ are not the same: "
CHOSEN = "*kmer_freq_k2,*sequence_stats,rejected_records"


def versions(home: Home) -> dict[tuple[str, int], list[dict[str, Any]]]:
    """The rows of every version of every table that is kept."""
    found = {}
    for name in home.names():
        for number in home.table(name).history().versions:
            try:
                found[name, number] = home.table(name).at(number).read().to_pylist()
            except MissingVersionError:
                continue
    return found


class Walk(RuleBasedStateMachine):
    """Commands in any order, on a home that begins with two versions of all tables."""

    twice: Twice
    steps = 0
    refusals: ClassVar[Counter[str]] = Counter()
    pinned = 0  # versions found again only because they were pinned

    @initialize()
    def begin(self) -> None:
        """Copy the home, and let the commands use the copy."""
        self.folder = Path(tempfile.mkdtemp())
        home = copied(self.twice.home.uri, self.folder / "home")
        os.environ["OPENGENOME_HOME"] = str(home)
        self.corpus = Corpus(Home(str(home)), self.twice.corpus.source)
        self.copy = Home(str(self.folder / "copy"))
        self.runs = list(self.twice.runs)
        self.pins: dict[str, set[tuple[str, int]]] = {}  # the versions that stay, by run
        self.known = versions(self.corpus.home)
        self.kept = set(self.known)
        self.carried: set[tuple[str, int]] = set()

    def teardown(self) -> None:
        """Remove the home."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def type_(self, *arguments: str, refusal: str | None = None) -> bool:
        """Type a command, and return whether it did its work; if not, it says this refusal and no more."""
        Walk.steps += 1
        result = CliRunner().invoke(main, arguments)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        assert "Traceback" not in result.output
        if result.exit_code:
            Walk.refusals[arguments[0]] += 1
            assert result.exit_code == 1, f"{arguments}: {result.output}"
            assert refusal, f"{arguments}: {result.output}"
            assert re.match(refusal, result.stderr), f"{arguments}: {result.output}"
        return result.exit_code == 0

    @rule(min_length=st.sampled_from([0, 11, 20, 30]))
    def run(self, min_length: int) -> None:
        """Materialise the tables with a setting."""
        Walk.steps += 1
        with open_instance() as instance:
            result = self.corpus.materialize(CHOSEN, instance=instance, sequence_shards={"min_length": min_length})
        self.runs.append(result.run_id)

    @rule(name=st.sampled_from(TABLES), data=st.data())
    def restore(self, name: str, data: st.DataObject) -> None:
        """Restore a version that is kept: the newest has its rows."""
        number = data.draw(st.sampled_from(sorted(number for table, number in self.kept if table == name)))
        self.type_("restore", name, "--version", str(number))
        assert self.corpus.home.table(name).read().to_pylist() == self.known[name, number]

    @rule(data=st.data())
    def checkout(self, data: st.DataObject) -> None:
        """Check out a run; if its versions are no longer kept, it is refused in words."""
        self.type_("checkout", "--run", data.draw(st.sampled_from(self.runs)), refusal=GONE)

    @rule(data=st.data())
    def pin(self, data: st.DataObject) -> None:
        """Pin a run: the versions that it left stay until it is unpinned."""
        run = data.draw(st.sampled_from(self.runs))
        if self.type_("pin", run, refusal=GONE):
            with open_instance() as instance:
                state = state_after(self.corpus.home, instance, run)
            self.pins[run] = set(state.versions.items())
            assert self.pins[run] <= set(versions(self.corpus.home))

    @rule(data=st.data())
    def unpin(self, data: st.DataObject) -> None:
        """Remove a pin, or be told that there is none."""
        run = data.draw(st.sampled_from(self.runs))
        assert self.type_("unpin", run, refusal=f"Error: run {run} is not pinned. Pinned runs: ") == (run in self.pins)
        self.pins.pop(run, None)

    @rule(number=st.integers(1, 3))
    def prune(self, number: int) -> None:
        """Keep some newest versions; these stay."""
        newest = self.newest(number)
        self.type_("prune", "--yes", "--keep", str(number))
        self.forget(newest)

    @rule(days=st.sampled_from(["0", "30"]))
    def upkeep(self, days: str) -> None:
        """Pack and clean; with 30 days nothing goes."""
        expected = self.newest(1) if days == "0" else set(self.kept)
        self.type_("upkeep", "--retention-days", days)
        self.forget(expected)

    @rule()
    def push(self) -> None:
        """Carry everything to a copy, or be told that it has other versions."""
        self.type_("push", self.copy.uri, refusal=OTHER)
        self.carried = set(versions(self.copy))

    @precondition(lambda self: self.carried)
    @rule()
    def pull(self) -> None:
        """Carry it back."""
        self.type_("pull", self.copy.uri, refusal=OTHER)

    def newest(self, number: int) -> set[tuple[str, int]]:
        """The newest versions of each table that are kept."""
        chosen = set()
        for name in self.corpus.home.names():
            held = sorted(each for table, each in self.kept if table == name)
            chosen |= {(name, each) for each in held[-number:]}
        return chosen

    def forget(self, expected: set[tuple[str, int]]) -> None:
        """Take note of the versions that went; those expected have to be there."""
        there = set(versions(self.corpus.home))
        pinned = set().union(*self.pins.values())
        assert expected | pinned <= there, f"gone: {sorted((expected | pinned) - there)}"
        Walk.pinned += len(pinned - expected)
        self.kept &= there

    @invariant()
    def no_kept_version_changes(self) -> None:
        """Each version that can be read has the rows that it had when it was made."""
        if not hasattr(self, "known"):
            return
        for home in (self.corpus.home, self.copy):
            for key, rows in versions(home).items():
                assert self.known.setdefault(key, rows) == rows, f"{home.uri}: {key} has other rows"
        there = set(versions(self.corpus.home))
        assert self.kept <= there, f"gone: {sorted(self.kept - there)}"
        self.kept = there


def walk(made: Twice, patch: pytest.MonkeyPatch, walks: int, length: int) -> int:
    """Walk some times, and return the number of commands typed."""
    use(patch, made.home.uri)
    Walk.twice, Walk.steps, Walk.refusals, Walk.pinned = made, 0, Counter(), 0
    run_state_machine_as_test(
        Walk,
        settings=settings(
            max_examples=walks,
            stateful_step_count=length,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
    return Walk.steps


def test_no_kept_version_changes_its_rows(made_twice: Twice, monkeypatch: pytest.MonkeyPatch) -> None:
    assert walk(made_twice, monkeypatch, walks=2, length=8) >= 5


@pytest.mark.adversary
@pytest.mark.timeout(3600)
def test_no_kept_version_changes_its_rows_in_many_walks(made_twice: Twice, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = walk(made_twice, monkeypatch, walks=20, length=25)
    print(
        f"{steps} commands, refused: {dict(Walk.refusals)}, versions kept by a pin alone: {Walk.pinned}, wrong rows: 0"
    )
    assert steps >= 300
    assert Walk.pinned
