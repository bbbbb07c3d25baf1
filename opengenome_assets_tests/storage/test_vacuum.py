"""Vacuum: what is kept stays readable in full, the rest goes, and a dry run tells exactly what."""

import os
import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import pyarrow.fs as pafs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opengenome_assets.storage.history import REARRANGED_KEY, RECORD_KEY, History
from opengenome_assets.storage.packs import PartIndex
from opengenome_assets.storage.parts import PartWriter, write_part
from opengenome_assets.storage.record import Input, Provenance
from opengenome_assets.storage.snapshot import MissingVersionError
from opengenome_assets.storage.tables import Home
from opengenome_assets.storage.vacuum import Removal, kept_versions, vacuum
from opengenome_assets_tests.examples import share
from opengenome_assets_tests.storage.numbers import (
    NAME,
    SCHEMA,
    commit,
    compact,
    content,
    held,
    make,
    rows,
    stored,
)


@pytest.fixture
def home(tmp_path):
    return Home(str(tmp_path))


def now() -> datetime:
    return datetime.now(UTC)


def age(home: Home, folder: str = "", days: float = 40) -> None:
    """Make the files of a table, or in one of its folders, look as old as that."""
    moment = time.time() - days * 86400
    root = Path(home.table(NAME).uri, folder)
    for path in [root, *root.rglob("*")]:
        os.utime(path, (moment, moment))


def clean(
    home: Home, since: datetime | None = None, made: Iterable[Provenance] = (), *, dry_run: bool = False
) -> Removal:
    """Vacuum the table of numbers, keeping by default only what is newest and what lineage names."""
    since = since or now()
    return vacuum(home.table(NAME), kept_versions(home, since, made)[NAME], since, dry_run=dry_run)


def test_what_was_newest_within_the_retention_stays_and_what_was_not_goes(home):
    for number in range(4):
        commit(home, [number, number + 1])
    since = home.table(NAME).history().versions[2].made  # until then version 1 was the newest
    age(home)
    removal = clean(home, since)
    assert (removal.readable, removal.lost) == ((1, 2, 3), (0,))
    assert [path.split("/")[0] for path in removal.files] == ["000"] * 3
    assert removal.folders == ("000",)
    assert stored(home).isdisjoint({*removal.files, *removal.folders})
    for version in (1, 2, 3):
        assert content(home, version) == held(version, version + 1)


def test_a_version_that_is_gone_is_refused_with_what_to_do(home):
    commit(home, [1])
    commit(home, [2])
    age(home)
    clean(home)
    with pytest.raises(MissingVersionError, match=r"numbers: version 0 cannot be read any more.*retention_days \(30"):
        home.table(NAME).at(0).read()
    with pytest.raises(MissingVersionError, match="numbers has no version 7; it has 0 to 1"):
        home.table(NAME).at(7)


def test_a_file_of_an_old_version_that_was_deleted_by_hand_is_named(home):
    commit(home, [1])
    commit(home, [2])
    (path, other) = (Path(home.table(NAME).uri, file.path) for file in home.table(NAME).at(0).files)
    path.unlink()
    with pytest.raises(MissingVersionError, match=rf"{path} is gone\..* Read a newer version"):
        home.table(NAME).at(0).read()
    other.unlink()
    with pytest.raises(MissingVersionError, match=rf"{path} and 1 more of its files are gone\."):
        home.table(NAME).at(0).read()


def test_what_lineage_names_stays_however_old_and_so_on_upstream(home):
    for number in range(3):
        commit(home, [number], name="origin")
    for number in range(3):
        commit(home, [10 + number], inputs={"origin": number})
    commit(home, [5], name="result", inputs={"numbers": 1, "elsewhere": 4})
    figure = Provenance(name="figure", code_version="1", inputs={"origin": Input(version=0, data_version="")})
    assert kept_versions(home, now(), []) == {"numbers": {1, 2}, "origin": {1, 2}, "result": {0}}
    assert kept_versions(home, now(), [figure])["origin"] == {0, 1, 2}
    age(home)
    assert clean(home).lost == (0,)
    assert content(home, 1) == held(11)


def test_a_version_that_lineage_names_lives_on_in_its_newest_arrangement(home):
    commit(home, range(3))
    compact(home)
    commit(home, [7])
    named = Provenance(name="figure", code_version="1", inputs={NAME: Input(version=0, data_version="")})
    age(home)
    removal = clean(home, made=[named])
    assert (removal.readable, removal.lost) == ((0, 2), ())
    assert {path.split("/")[0] for path in stored(home)} == {"007", "packs"}
    assert content(home, 0) == held(0, 1, 2)
    assert home.table(NAME).provenance(1) == home.table(NAME).provenance(0)


def test_young_files_stay_no_matter_who_wrote_them(home):
    commit(home, [1])
    make(home, 2)  # finished, of a run that failed before its commit
    write_part(home.table(NAME).uri, "unfinished", rows(1))
    Path(home.table(NAME).uri, "unfinished", "_manifest.json").unlink()
    since = now() - timedelta(days=30)
    before = stored(home)
    assert clean(home, since) == Removal((), (), 0, (0,), ())
    age(home)
    removal = clean(home, since)
    assert {path.split("/")[0] for path in removal.files} == {"002", "unfinished"}
    assert stored(home) == {path for path in before if path.startswith("001")}


def test_strays_beside_what_is_needed_go_and_its_manifest_stays(home):
    commit(home, [1])
    folder = Path(home.table(NAME).uri, "001")
    for stray in ("00000-killed.parquet", "_manifest.json.1234.new"):
        (folder / stray).write_bytes(b"1234")
    age(home)
    removal = clean(home)
    assert removal.files == ("001/00000-killed.parquet", "001/_manifest.json.1234.new")
    assert removal.size == 8
    assert PartIndex(home.table(NAME).uri).find("001") is not None


def test_of_two_attempts_at_a_part_both_stay_if_one_is_in_use(home):
    with (
        PartWriter(home.table(NAME).uri, "001", SCHEMA) as first,
        PartWriter(home.table(NAME).uri, "001", SCHEMA) as second,
    ):
        first.write(rows(1))
        second.write(rows(1))
        used = first.finish()
        second.finish()
    home.table(NAME).commit(SCHEMA, [used], Provenance(name=NAME, code_version="1"))
    age(home)
    assert clean(home).files == ()
    assert PartIndex(home.table(NAME).uri).find("001") is not None


def test_a_part_without_rows_stays(home):
    with PartWriter(home.table(NAME).uri, "empty", SCHEMA) as writer:
        empty = writer.finish(source="s")
    home.table(NAME).commit(SCHEMA, [empty, make(home, 1)], Provenance(name=NAME, code_version="1"))
    age(home)
    clean(home)
    assert PartIndex(home.table(NAME).uri).find("empty") == empty


def test_old_empty_folders_go(home):
    commit(home, [1])
    Path(home.table(NAME).uri, "old", "inner").mkdir(parents=True)
    age(home)
    Path(home.table(NAME).uri, "young").mkdir()
    removal = clean(home, now() - timedelta(days=30))
    assert removal.folders == ("old/inner", "old")
    assert {"young"} == {path for path in stored(home) if not path.startswith("001")}


def test_a_dry_run_tells_what_would_go_and_removes_nothing(home):
    for number in range(3):
        commit(home, [number])
    age(home)
    before = stored(home)
    foretold = clean(home, dry_run=True)
    assert stored(home) == before
    assert foretold.lost == (0, 1)
    assert clean(home) == foretold
    assert stored(home) == before - {*foretold.files, *foretold.folders}
    assert clean(home).lost == ()  # what is gone is not lost again


@pytest.mark.parametrize("after", range(1, 6))
@pytest.mark.long
def test_a_vacuum_that_is_killed_has_taken_nothing_that_is_kept(home, monkeypatch, after):
    commit(home, range(3))
    compact(home)
    commit(home, [1, 2])
    age(home)
    since = home.table(NAME).history().versions[2].made
    foretold = clean(home, since, dry_run=True)
    assert len(foretold.files) > after
    calls, delete = count(), pafs.LocalFileSystem.delete_file

    class Dying(pafs.LocalFileSystem):
        def delete_file(self, path: str) -> None:
            if next(calls) == after:
                raise KeyboardInterrupt
            delete(self, path)

    with monkeypatch.context() as patch:
        patch.setattr("opengenome_assets.storage.vacuum.filesystem", lambda uri: (Dying(), uri))
        with pytest.raises(KeyboardInterrupt):
            clean(home, since)
    assert content(home) == held(1, 2)
    assert content(home, 0) == held(0, 1, 2)
    commit(home, range(4))
    assert content(home) == held(*range(4))


def test_a_home_named_by_a_uri_is_kept_up_in_the_same_way(tmp_path):
    home = Home(f"file://{tmp_path}")
    commit(home, range(3))
    compact(home)
    removal = clean(home)
    assert len(removal.files) == 3 * 3
    assert content(home) == content(home, 0) == held(0, 1, 2)
    assert {path.name for path in (tmp_path / "tables" / NAME).iterdir()} >= {"_delta_log", "packs"}


class Told:
    """A table that only has a history: the seconds at which its versions were made, rearrangements as None."""

    table_uri = "told"

    def __init__(self, *seconds: int, rearranged: Iterable[int] = ()) -> None:
        self.seconds = seconds
        self.rearranged = set(rearranged)

    def version(self) -> int:
        return len(self.seconds) - 1

    def history(self) -> list[dict[str, object]]:
        return [
            {
                "version": number,
                "timestamp": seconds * 1000,
                REARRANGED_KEY if number in self.rearranged else RECORD_KEY: "{}",
            }
            for number, seconds in reversed(list(enumerate(self.seconds)))
        ]


def moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def test_a_clock_that_went_backwards_makes_nothing_older():
    history = History(Told(10, 30, 5, 6, 40))
    assert history.newest_since(moment(41)) == {4}
    assert history.newest_since(moment(31)) == {3, 4}
    assert history.newest_since(moment(20)) == {0, 1, 2, 3, 4}


def test_versions_that_hold_the_same_rows():
    history = History(Told(1, 2, 3, 4, 5, rearranged=[1, 2, 4]))
    assert history.layouts() == {0: 2, 3: 4}
    assert [history.origin(number).number for number in range(5)] == [0, 0, 0, 3, 3]
    assert (history.newest, history.current.number) == (4, 3)


step = st.one_of(
    st.tuples(st.just("commit"), st.sets(st.integers(0, 5))),
    st.tuples(st.just("compact"), st.integers(2, 6)),
    st.tuples(st.just("clean"), st.integers(0, 3)),
)


@settings(max_examples=share(20))
@given(steps=st.lists(step, min_size=2, max_size=9))
def test_whatever_is_done_in_whatever_order_what_is_kept_reads_as_it_was_committed(tmp_path_factory, steps):
    home = Home(str(tmp_path_factory.mktemp("home")))
    commit(home, [0, 1])
    expected = {0: {0, 1}}
    for action, value in steps:
        if action == "commit":
            expected[commit(home, value).version] = value
        elif action == "compact":
            compact(home, parts=value)
        else:
            age(home)
            versions = list(home.table(NAME).history().versions.values())
            removal = clean(home, versions[-min(value, len(versions))].made if value else None)
            assert {*removal.readable, *removal.lost} == set(expected)
            expected = {version: numbers for version, numbers in expected.items() if version in removal.readable}
        assert home.table(NAME).history().current.number in expected
        for version, numbers in expected.items():
            assert content(home, version) == held(*numbers)
