"""Packs: the same rows in fewer files, found and read wherever they lie, whatever comes in between."""

import json
import random
import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from opengenome_assets.storage import commits, packs
from opengenome_assets.storage import tables as tables_module
from opengenome_assets.storage.packs import PackWriter, PartIndex, find_packs, write_pack, written_together
from opengenome_assets.storage.parquet.file import DamagedFileError
from opengenome_assets.storage.parts import Part, PartWriter, write_part
from opengenome_assets.storage.record import Provenance
from opengenome_assets.storage.tables import Home
from opengenome_assets_tests.storage.numbers import (
    NAME,
    SCHEMA,
    SIZES,
    commit,
    compact,
    content,
    held,
    make,
    paths,
    rows,
    stored,
)


@pytest.fixture
def home(tmp_path):
    return Home(str(tmp_path))


def forget_own_folders(home: Home) -> None:
    """Remove the folders of parts, as a vacuum does when the packs hold them."""
    for folder in Path(home.table(NAME).uri).glob("0*"):
        shutil.rmtree(folder)


def test_packing_changes_files_and_nothing_else(home):
    commit(home, [3, 1, 2])
    record, given = home.table(NAME).provenance(), home.table(NAME).input()
    compaction = compact(home)
    assert (compaction.files_before, compaction.files_after, compaction.parts_packed) == (6, 1, 3)
    assert paths(home) == [path for path in stored(home) if path.startswith("packs/") and path.endswith("parquet")]
    assert content(home) == held(1, 2, 3)
    assert (home.table(NAME).provenance(), home.table(NAME).input()) == (record, given)
    assert DeltaTable(home.table(NAME).uri).to_pyarrow_table().num_rows == 12
    log = Path(home.table(NAME).uri, "_delta_log", f"{1:020d}.json").read_text().splitlines()
    changes = [action for line in log for action in json.loads(line).values() if "dataChange" in action]
    assert len(changes) == 7
    assert not any(action["dataChange"] for action in changes)


def test_rows_come_in_the_same_order_however_they_are_packed(home):
    commit(home, range(0, 10, 2))
    compact(home)
    commit(home, range(10))
    assert len(paths(home)) == 1 + 2 * 5
    assert content(home) == held(*range(10))
    groups = list(home.table(NAME).row_groups(["number"]))
    assert [group.num_rows for group in groups] == [2, 1, 1] * 10
    assert [n for group in groups for n in group["number"].to_pylist()] == [row["number"] for row in held(*range(10))]
    (only,) = home.table(NAME).row_groups(["text"], ("number", 42))
    assert only.to_pylist() == [{"text": "number 42"}]
    assert [key for key, _ in home.table(NAME).at().pieces][:4] == ["000", "000", "001", "001"]


def test_packed_parts_are_found_without_their_folders_as_they_were(home):
    parts = [make(home, number) for number in range(4)]
    commit(home, range(4))
    compact(home)
    forget_own_folders(home)
    index = PartIndex(home.table(NAME).uri)
    for before in parts:
        found = index.find(before.key)
        assert (found.key, found.facts, found.rows) == (before.key, before.facts, before.rows)
        assert [(file.size, file.rows) for file in found.files] == [(file.size, file.rows) for file in before.files]
    assert index.find("004") is None
    assert commit(home, range(4)).files_added == 0


def test_a_changed_part_costs_its_pack_and_no_other(home):
    commit(home, range(9))
    compact(home, parts=3)
    before = paths(home)
    assert len(before) == 3
    forget_own_folders(home)
    done = commit(home, [*range(8), 20])
    assert (done.files, done.files_removed, done.files_added) == (3 + 2, 1, 1 + 2)
    assert len(set(before) & set(paths(home))) == 2
    assert content(home) == held(*range(8), 20)
    assert content(home, 0) == held(*range(9))


def test_what_comes_back_is_read_from_the_pack_that_has_it(home):
    commit(home, range(4))
    compact(home)
    forget_own_folders(home)
    packed = paths(home)
    commit(home, range(3))
    assert paths(home) != packed
    done = commit(home, range(4))
    assert (paths(home), done.files_added) == (packed, 1)
    assert content(home) == held(*range(4))


def test_large_parts_stay_and_small_packs_are_packed_again(home):
    uri = home.table(NAME).uri
    numbers = list(range(20_000))
    random.Random(1).shuffle(numbers)
    write_part(uri, "100", rows(*numbers))
    commit(home, [0, 1, 100])
    (large,) = [file for file in home.table(NAME).at().files if file.path.startswith("100/")]
    assert large.size > SIZES.small
    compact(home)
    assert len(paths(home)) == 2
    commit(home, [0, 1, 2, 3, 100])
    compact(home)
    assert len(paths(home)) == 2
    assert large.path in paths(home)
    assert content(home)[:16] == held(0, 1, 2, 3)


def test_a_pack_keeps_to_its_sizes_and_fills_up_before_there_is_another(home):
    commit(home, range(5))
    size = home.table(NAME).at().files[0].size
    compact(home, parts=3)
    compact(home, parts=3)
    assert sorted(len(pack.parts) for pack in find_packs(home.table(NAME).uri)) == [2, 3]
    commit(home, range(6))
    assert compact(home, parts=3).parts_packed == 3
    assert len(paths(home)) == 2
    compact(home, size=4 * size)
    assert len(paths(home)) == 2
    compact(home)
    assert len(paths(home)) == 1
    assert content(home) == held(*range(6))


@pytest.mark.parametrize("numbers", [[], [5]])
def test_what_has_nothing_to_be_packed_with_adds_no_version(home, numbers):
    commit(home, numbers)
    assert compact(home).parts_packed == 0
    commit(home, [1, 2])
    compact(home)
    version = home.table(NAME).history().newest
    compact(home)
    assert home.table(NAME).history().newest == version


def test_a_dry_run_foretells_and_writes_nothing(home):
    commit(home, range(3))
    before = stored(home)
    foretold = home.table(NAME).compact(SIZES, dry_run=True)
    assert (stored(home), home.table(NAME).history().newest) == (before, 0)
    assert compact(home) == foretold


def test_schema_codec_and_row_groups_are_those_of_the_parts(home):
    parts = []
    for number in range(2):
        with PartWriter(home.table(NAME).uri, str(number), SCHEMA, "snappy") as writer:
            writer.write(rows(number))
            parts.append(writer.finish())
    write_pack(home.table(NAME).uri, parts)
    (pack,) = find_packs(home.table(NAME).uri)
    file = pq.ParquetFile(f"{home.table(NAME).uri}/{pack.file.path}")
    assert file.schema_arrow.equals(SCHEMA, check_metadata=True)
    assert [file.metadata.row_group(n).column(0).compression for n in range(file.num_row_groups)] == ["SNAPPY"] * 2
    assert [part.files[0].row_groups for part in pack.parts] == [(0, 1), (1, 2)]


@pytest.mark.parametrize("damage", ["manifest", "cut"])
def test_a_damaged_pack_is_named_and_not_used(home, damage):
    commit(home, range(3))
    compact(home)
    file = Path(home.table(NAME).uri, paths(home)[0])
    if damage == "manifest":
        (file.parent / "_manifest.json").unlink()
    else:
        file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(DamagedFileError, match=r"is damaged: its manifest is gone.*Delete this folder and materialise"):
        home.table(NAME).read()
    with pytest.raises(DamagedFileError):  # damaged, which is not the same as removed with an old version
        home.table(NAME).at(0).read()
    commit(home, range(3))  # from the parts' own folders, which are still there
    assert content(home) == held(0, 1, 2)


def test_a_page_that_changed_in_a_pack_is_found_and_is_not_packed_again(home):
    commit(home, range(3))
    compact(home)
    forget_own_folders(home)
    file = Path(home.table(NAME).uri, paths(home)[0])
    page = pq.read_metadata(file).row_group(4).column(1)
    content = bytearray(file.read_bytes())
    content[page.data_page_offset + page.total_compressed_size - 1] ^= 1
    file.write_bytes(content)
    with pytest.raises(DamagedFileError, match=f"Delete the folder {file.parent}"):
        commit(home, [1, 2])
    assert home.table(NAME).history().newest == 1


class Killed(BaseException):
    """What a kill would be, at a chosen place."""


@contextmanager
def killed_at(monkeypatch: pytest.MonkeyPatch, place: tuple[object, str]) -> Iterator[None]:
    """Run what is inside until it calls a method, at which it ends."""

    def kill(*_: object, **__: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(*place, kill)
        with suppress(Killed):
            yield
            pytest.fail("it went on")


@pytest.mark.parametrize("place", [(PartWriter, "write"), (PartWriter, "finish"), (commits, "replace")])
def test_packing_that_is_killed_loses_nothing_and_is_done_the_next_time(home, monkeypatch, place):
    commit(home, range(4))
    with killed_at(monkeypatch, place):
        compact(home)
    assert home.table(NAME).history().newest == 0
    assert content(home) == held(*range(4))
    finished = [path for path in stored(home) if path.startswith("packs/") and path.endswith("_manifest.json")]
    assert len(finished) == (place[1] == "replace")
    compact(home)
    assert len(paths(home)) == 1
    assert content(home) == held(*range(4))
    assert len([path for path in stored(home) if path.endswith("_manifest.json") and "packs/" in path]) == 1


@pytest.mark.parametrize("place", [(PartWriter, "finish"), (commits, "replace")])
def test_a_commit_that_is_killed_while_it_packs_again_loses_nothing(home, monkeypatch, place):
    commit(home, range(4))
    compact(home)
    forget_own_folders(home)
    with killed_at(monkeypatch, place):
        commit(home, [0, 1, 2])
    assert content(home) == held(*range(4))
    commit(home, [0, 1, 2])
    assert content(home) == held(0, 1, 2)


def test_who_commits_while_parts_are_packed_is_not_undone(home, monkeypatch):
    commit(home, range(4))
    real, others = write_pack, iter([[0, 1, 9]])

    def interrupted(uri: str, parts: list[Part]):
        for numbers in others:
            commit(home, numbers)
        return real(uri, parts)

    monkeypatch.setattr(tables_module, "write_pack", interrupted)
    compact(home)
    assert content(home) == held(0, 1, 9)
    assert len(paths(home)) == 1
    assert content(home, 0) == held(*range(4))


@pytest.mark.long
def test_packing_and_committing_at_once_never_doubles_or_loses_a_part(home):
    commit(home, [0, 1])
    sizes = list(range(3, 9))
    with ThreadPoolExecutor(4) as threads:
        done = [threads.submit(commit, home, range(size)) for size in sizes]
        done += [threads.submit(compact, home) for _ in range(4)]
        for each in done:
            each.result()
    history = home.table(NAME).history()
    for number in history.versions:
        expected = json.loads(history.provenance(number).code_version)
        assert DeltaTable(home.table(NAME).uri, version=number).to_pyarrow_table().num_rows == 4 * len(expected)
        assert content(home, number) == held(*expected)


def test_many_parts_are_looked_up_side_by_side_and_the_missing_ones_left_out(home, monkeypatch):
    commit(home, [3, 1, 2])
    compact(home)
    commit(home, [3, 1, 2, 4, 5])
    index = PartIndex(home.table(NAME).uri)
    present = list(home.table(NAME).at().parts)
    assert index.find_all([*present, "missing", *present]) == {key: index.find(key) for key in present}
    # Each look-up waits for the others: one after the other they would never meet.
    met = threading.Barrier(packs.REQUESTS)
    monkeypatch.setattr(packs, "find_part", lambda uri, key: met.wait(timeout=30) and None)
    assert index.find_all(f"missing {number}" for number in range(packs.REQUESTS)) == {}


Files = list[list[list[int]]]  # of a part: files, of row groups, of numbers

ALONE: dict[str, Files] = {
    "a": [[[1, 2], [3]], [[4]]],
    "b": [],
    "c": [[[5]]],
    "d": [[list(range(100, 300_000))], [[6]]],  # large
    "e": [[[7], [8, 9]]],
}


def write_files(writer: PartWriter | packs.PackedPartWriter, files: Files) -> None:
    for row_groups in files:
        writer.close_file()
        for numbers in row_groups:
            writer.write(rows(*numbers))


def write_alone(uri: str, key: str, files: Files) -> Part:
    with PartWriter(uri, key, SCHEMA) as writer:
        write_files(writer, files)
        return writer.finish(source=key)


def write_packed(uri: str, parts: dict[str, Files]) -> dict[str, Part]:
    pack = PackWriter(uri, SCHEMA)
    for key, files in parts.items():
        with pack.part(key) as writer:
            write_files(writer, files)
            writer.finish(source=key)
    return pack.finish()


def held_in(home: Home, part: Part) -> list[tuple[int, list[list[int]]]]:
    """The rows of each file of a part, and the numbers of each of its row groups."""
    found = []
    for file in part.files:
        with packs.open_row_groups(f"{home.table(NAME).uri}/{file.path}", file.row_groups, file.content) as (
            opened,
            of,
        ):
            found.append((file.rows, [opened.read_row_group(group)["number"].to_pylist() for group in of]))
    return found


def test_parts_that_are_written_together_are_those_that_are_written_alone(home, tmp_path):
    other = Home(str(tmp_path / "other"))
    made = write_packed(home.table(NAME).uri, ALONE)
    assert list(made) == sorted(ALONE, key="dabce".index)
    index = PartIndex(home.table(NAME).uri)
    for key, files in ALONE.items():
        alone = write_alone(other.table(NAME).uri, key, files)
        assert held_in(home, made[key]) == held_in(other, alone)
        assert (made[key].key, made[key].facts) == (alone.key, alone.facts)
        assert index.find(key) == made[key]
    # The large one has a folder of its own, the others share one file.
    folders = {path.partition("/")[0] for path in stored(home)}
    assert folders == {"d", "packs"}
    assert len({file.path for key in "ace" for file in made[key].files}) == 1
    home.table(NAME).commit(SCHEMA, made.values(), home_record())
    other.table(NAME).commit(SCHEMA, [PartIndex(other.table(NAME).uri).find(key) for key in ALONE], home_record())
    assert home.table(NAME).read().equals(other.table(NAME).read())
    assert DeltaTable(home.table(NAME).uri).to_pyarrow_table().num_rows == other.table(NAME).at().rows


def home_record() -> Provenance:
    return Provenance(name=NAME, code_version="1", run_id="r")


def test_a_part_that_fails_leaves_no_row_among_those_that_are_written_with_it(home):
    pack = PackWriter(home.table(NAME).uri, SCHEMA)
    with pack.part("good") as writer:
        writer.write(rows(1))
        writer.finish()
    for key, numbers in (("bad", [2]), ("large and bad", range(300_000))):
        with suppress(ZeroDivisionError), pack.part(key) as writer:
            writer.write(rows(*numbers))
            writer.write(rows(1 // 0))
    (part,) = pack.finish().values()
    home.table(NAME).commit(SCHEMA, [part], home_record())
    assert [row["number"] for row in content(home)] == [1]
    assert DeltaTable(home.table(NAME).uri).to_pyarrow_table().num_rows == 1
    assert PartIndex(home.table(NAME).uri).find_all(["good", "bad", "large and bad"]).keys() == {"good"}


def test_parts_without_rows_are_found_in_their_pack_whatever_becomes_of_the_others(home):
    """Of a pack of such parts alone, of one that is packed again, and of one that is compacted."""
    uri = home.table(NAME).uri
    write_packed(uri, {"x": [], "y": []})
    made = write_packed(uri, {key: ALONE[key] for key in "abce"})
    more = write_packed(uri, {"f": [[[10]]], "g": []})
    assert len(find_packs(uri)) == 3
    for keys in ("abc", "abcfg"):
        home.table(NAME).commit(SCHEMA, [({**made, **more})[key] for key in keys], home_record())
        for pack in find_packs(uri):
            if pack.file and pack.file.path not in paths(home):  # as a vacuum does
                shutil.rmtree(Path(uri, pack.file.path).parent)
        if keys == "abc":
            more = write_packed(uri, {"f": [[[10]]], "g": []})
    assert compact(home).parts_packed == 5
    for pack in find_packs(uri):
        if pack.file and pack.file.path not in paths(home):
            shutil.rmtree(Path(uri, pack.file.path).parent)
    index = PartIndex(uri)
    assert index.find_all("abcefgxy").keys() == set("abcfgxy")
    assert [index.find(key).rows for key in "bgxy"] == [0] * 4
    assert [row["number"] for row in content(home)] == [1, 2, 3, 4, 5, 10]


def test_what_waits_in_memory_has_a_limit(home, monkeypatch):
    monkeypatch.setattr(packs, "PACK_BYTES", 1)
    made = write_packed(home.table(NAME).uri, {key: ALONE[key] for key in "ace"})
    assert len({file.path for part in made.values() for file in part.files}) == 3
    assert [made[key].rows for key in "ace"] == [4, 1, 3]


def test_many_small_parts_are_written_together_in_the_order_of_their_keys():
    few, many = packs.MANY_PARTS - 1, packs.MANY_PARTS
    keys = [f"{number * 7919 % 10_000:05}" for number in range(many + 2)]
    assert written_together(keys[:few], [1] * few) == [[place] for place in range(few)]
    large = packs.SMALL_INPUT
    groups = written_together(keys, [1, large, *([1] * (many - 1)), large])
    assert groups[:2] == [[1], [many + 1]]
    assert [len(group) for group in groups[2:]] == [packs.PACK_PARTS] * (many // packs.PACK_PARTS)
    assert [keys[place] for group in groups[2:] for place in group] == sorted(keys[:1] + keys[2:-1])
    assert written_together([], []) == []


@pytest.mark.parametrize("place", [(PartWriter, "write"), (PartWriter, "finish")])
def test_parts_of_a_pack_that_is_killed_are_written_again(home, monkeypatch, place):
    uri = home.table(NAME).uri
    with killed_at(monkeypatch, place):
        write_packed(uri, {key: ALONE[key] for key in "ace"})
    assert not PartIndex(uri).find_all("ace")
    made = write_packed(uri, {key: ALONE[key] for key in "ace"})
    home.table(NAME).commit(SCHEMA, made.values(), home_record())
    assert [row["number"] for row in content(home)] == [1, 2, 3, 4, 5, 7, 8, 9]
    before = stored(home)
    assert write_packed(uri, {key: ALONE[key] for key in "ace"}) == made  # what is there is used
    assert stored(home) == before


def test_a_pack_that_exists_is_found_without_the_files_of_its_parts(home):
    parts = [make(home, number) for number in range(3)]
    file = write_pack(home.table(NAME).uri, parts)
    forget_own_folders(home)
    assert write_pack(home.table(NAME).uri, parts) == file
