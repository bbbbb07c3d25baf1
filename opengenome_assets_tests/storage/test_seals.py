"""Seals: whatever is changed by hand in a table's log is found and named, wherever it stands."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opengenome_assets.storage.seals import DamagedTableError, lines_with
from opengenome_assets.storage.tables import Home
from opengenome_assets_tests.storage.numbers import NAME, commit, compact, content, held

Entries = list[dict[str, Any]]


def rewrite(home: Home, number: int, change: Callable[[Entries], None]) -> Path:
    """Change an entry of the log by hand."""
    path = Path(home.table(NAME).uri, "_delta_log", f"{number:020}.json")
    entries = [json.loads(line) for line in path.read_text().splitlines()]
    change(entries)
    path.write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    return path


def action(entries: Entries, kind: str) -> dict[str, Any]:
    return next(entry[kind] for entry in entries if kind in entry)


def forget_a_file(entries: Entries) -> None:
    del entries[next(place for place, entry in enumerate(entries) if "add" in entry)]


def name_another_file(entries: Entries) -> None:
    action(entries, "add")["path"] = "000/another.parquet"


def miscount_rows(entries: Entries) -> None:
    action(entries, "add")["stats"] = json.dumps({"numRecords": 1000})


def misjudge_size(entries: Entries) -> None:
    action(entries, "add")["size"] += 1


def claim_other_code(entries: Entries) -> None:
    info = action(entries, "commitInfo")
    info["opengenome"] = json.dumps({**json.loads(info["opengenome"]), "code_version": "99"})


def claim_that_nothing_was_made(entries: Entries) -> None:
    action(entries, "commitInfo")["opengenome_rearranged"] = "1 files put into 1"


def bring_back_a_file(entries: Entries) -> None:
    del entries[next(place for place, entry in enumerate(entries) if "remove" in entry)]


FILES = (forget_a_file, name_another_file, miscount_rows, misjudge_size)
WORDS = (claim_other_code, claim_that_nothing_was_made)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(str(tmp_path))
    for number in range(3):
        commit(home, [number, number + 1])
    return home


@pytest.mark.parametrize("change", [*FILES, *WORDS, bring_back_a_file])
def test_a_changed_entry_is_found_when_its_version_is_read(home: Home, change: Callable[[Entries], None]) -> None:
    path = rewrite(home, 1, change)
    with pytest.raises(DamagedTableError, match=rf"{path.name}: .* changed after they were written.*from a copy"):
        home.table(NAME).at(1).read()


@pytest.mark.parametrize("change", FILES)
def test_and_when_the_newest_is_read_that_builds_on_it(home: Home, change: Callable[[Entries], None]) -> None:
    rewrite(home, 2, change)
    with pytest.raises(DamagedTableError, match=r"numbers/_delta_log/0*2\.json: the files it names"):
        home.table(NAME).read()
    assert content(home, 0) == held(0, 1)


@pytest.mark.parametrize("change", WORDS)
def test_no_word_of_the_log_is_believed_that_was_changed(home: Home, change: Callable[[Entries], None]) -> None:
    rewrite(home, 0, change)
    table = home.table(NAME)
    for ask in (table.history, table.provenance, table.input):
        with pytest.raises(DamagedTableError, match=r"numbers/_delta_log/0*0\.json: its words on what made"):
            ask()


def test_packing_and_restoring_are_sealed_too(home: Home) -> None:
    compact(home)
    home.table(NAME).restore(0, "r")
    assert content(home) == held(0, 1)
    rewrite(home, 4, lambda entries: action(entries, "commitInfo").pop("opengenome_restored"))
    with pytest.raises(DamagedTableError, match=r"0*4\.json"):
        home.table(NAME).history()
    rewrite(home, 3, forget_a_file)
    with pytest.raises(DamagedTableError):
        home.table(NAME).at(3)


def test_a_record_of_contents_that_cannot_be_read_is_named_when_files_are_read(home: Home) -> None:
    def spoil(entries: Entries) -> None:
        info = action(entries, "commitInfo")
        del info["opengenome_seal"]  # as in a commit that has none
        info["opengenome_contents"] = '{"000/'

    rewrite(home, 0, spoil)
    table = home.table(NAME)
    assert table.input().version == 2
    with pytest.raises(DamagedTableError, match=r"numbers/_delta_log: an entry up to version 2 cannot be read"):
        table.read()


LINES = st.lists(st.lists(st.sampled_from([b"word", b"wor", b"d", b"x"])).map(b"".join))


@given(LINES, st.booleans())
def test_lines_with_a_word_are_those_of_splitting_them_apart(lines: list[bytes], ended: bool) -> None:
    content = b"\n".join(lines) + b"\n" * ended
    assert list(lines_with(content, b"word")) == [line for line in content.splitlines() if b"word" in line]
