"""A mapped index against the same table read into memory: through versions, damage, vacuum and transport."""

import json
import random
import shutil
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opengenome_assets.corpus.passes.mapping import map_index
from opengenome_assets.corpus.tables import TFIDF_INDEX
from opengenome_assets.search import Query, SearchIndex
from opengenome_assets.storage.carry import carry, missing
from opengenome_assets.storage.mapped import mapped_of
from opengenome_assets.storage.packs import PackSizes
from opengenome_assets.storage.parquet.file import DamagedFileError
from opengenome_assets.storage.tables import Home, Table
from opengenome_assets.storage.vacuum import kept_versions, vacuum
from opengenome_assets_tests.search.corpora import fasta, make_corpus


def letters(count: int, seed: int) -> str:
    return "".join(random.Random(seed).choices("ACGT", k=count))


def files(numbers: Iterable[int]) -> dict[str, str]:
    """FASTA files of two sources: short sequences, long ones, one without a 6-mer, one identifier in every file."""
    return {
        f"s{number % 2}/{number}.fasta": fasta(
            {f"own{number}": letters(300 + 2000 * (number % 3), number), "common": letters(200, number), "none": "AC"}
        )
        for number in numbers
    }


QUERIES = [Query("a", letters(300, 2).encode()), Query("b", letters(150, 5).encode()), Query("c", b"ACGTACGTAC")]


def table(home: Home) -> Table:
    return home.table(TFIDF_INDEX)


def folders(home: Home) -> list[str]:
    return sorted(path.name.partition("-")[0] for path in Path(table(home).uri, "mapped").glob("*"))


def unmapped(index: SearchIndex, folder: Path) -> SearchIndex:
    """Open the same version of a copy of the home without mapped files."""
    shutil.copytree(index.table.home.uri, folder, ignore=shutil.ignore_patterns("mapped"))
    return SearchIndex.open(str(folder), version=index.version)


def assert_same(one: SearchIndex, other: SearchIndex) -> None:
    for options in ({}, {"source": one.sources[-1]}, {"strand": "given", "top_n": 3}, {"sort": "containment"}):
        assert one.similar(QUERIES, **options) == other.similar(QUERIES, **options)
        assert one.by_cosine(QUERIES, top_n=1000) == other.by_cosine(QUERIES, top_n=1000)
    assert (one.sources, one.sequences, one.data_version) == (other.sources, other.sequences, other.data_version)
    np.testing.assert_array_equal(one.idf, other.idf)
    every = np.arange(one.sequences)
    assert one.names(every[::-1]).to_pylist() == other.names(every[::-1]).to_pylist()
    for row in every.tolist():
        np.testing.assert_array_equal(one.counts(row), other.counts(row))
    assert one.row("common") == other.row("common")
    assert one.row("common", one.sources[-1]) == other.row("common", one.sources[-1])


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = make_corpus(tmp_path / "home", files(range(6)))
    map_index(home)
    return home


@pytest.mark.long
def test_a_mapped_index_is_the_one_read_into_memory(home: Home, tmp_path: Path) -> None:
    mapped = SearchIndex.open(home.uri)
    read = unmapped(mapped, tmp_path / "copy")
    assert folders(home) == ["facts", "rows"]
    assert mapped.mapped_bytes > 0 == read.mapped_bytes
    assert mapped.nbytes < read.nbytes / 10
    assert_same(mapped, read)


def test_a_file_uri_is_mapped_too(home: Home) -> None:
    assert SearchIndex.open(f"file://{home.uri}").similar(QUERIES) == SearchIndex.open(home.uri).similar(QUERIES)
    assert SearchIndex.open(f"file://{home.uri}").mapped_bytes > 0


@pytest.mark.slow
@settings(max_examples=8, deadline=None)
@given(st.lists(st.sets(st.integers(0, 9), min_size=1), min_size=2, max_size=4))
def test_versions_with_any_files_are_searched_as_without_mapped_files(
    tmp_path_factory: pytest.TempPathFactory, versions: list[set[int]]
) -> None:
    folder = tmp_path_factory.mktemp("versions")
    previous = None
    for step, numbers in enumerate(versions):
        home = make_corpus(folder / "home", files(sorted(numbers)))
        map_index(home)
        index = SearchIndex.open(home.uri, previous=previous)
        assert not index._rows.loaded
        assert_same(index, unmapped(index, folder / str(step)))
        previous = index
    first = SearchIndex.open(home.uri, version=0)
    assert_same(first, unmapped(first, folder / "first"))


@pytest.mark.long
def test_rows_are_written_again_only_with_as_many_new_ones(home: Home, tmp_path: Path) -> None:
    written = {path.name for path in Path(table(home).uri, "mapped").glob("rows-*")}
    sizes = []
    for last in range(7, 14):
        make_corpus(tmp_path / "home", files(range(last)))
        map_index(home)
        sizes.append(sorted(mapped.rows for mapped in SearchIndex.open(home.uri)._rows.mapped.values()))
    assert sizes == [[3, 18], [6, 18], [3, 6, 18], [12, 18], [3, 12, 18], [6, 12, 18], [3, 6, 12, 18]]
    assert written <= {path.name for path in Path(table(home).uri, "mapped").glob("rows-*")}


def test_nothing_is_written_for_a_version_with_the_same_rows(home: Home) -> None:
    def written() -> dict[str, int]:
        return {str(path): path.stat().st_mtime_ns for path in Path(table(home).uri, "mapped").rglob("*")}

    before = written()
    map_index(home)
    table(home).compact(PackSizes(1 << 20, 1 << 24, 64))
    map_index(home)
    assert written() == before
    assert SearchIndex.open(home.uri).mapped_bytes > 0


@pytest.mark.long
def test_a_restored_version_finds_its_files(home: Home, tmp_path: Path) -> None:
    make_corpus(tmp_path / "home", files(range(3)))
    table(home).restore(0, "run")
    index = SearchIndex.open(home.uri)
    assert index.sequences == 18
    assert not index._rows.loaded
    assert_same(index, unmapped(index, tmp_path / "copy"))


def flip(path: Path, place: int) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("kind", "number", "place"),
    [
        ("rows", 0, 0.5),
        ("rows", 1, 0.3),
        ("facts", 0, 0.5),
        ("facts", 1, 0.4),
        *((kind, number, place) for kind in ("rows", "facts") for number in (0, 1) for place in (0.01, 0.999)),
    ],
)
@pytest.mark.long
def test_a_changed_byte_is_noticed_before_it_is_used(home: Home, kind: str, number: int, place: float) -> None:
    (folder,) = Path(table(home).uri, "mapped").glob(f"{kind}-*")
    path = sorted(folder.glob("*.arrow"))[number]
    flip(path, int(path.stat().st_size * place))
    with pytest.raises(DamagedFileError, match=f"{path.name} is damaged: .*Delete its folder"):
        SearchIndex.open(home.uri).similar(QUERIES)
    shutil.rmtree(folder)
    assert SearchIndex.open(home.uri).similar(QUERIES)
    map_index(home)
    assert folders(home) == ["facts", "rows"]


@pytest.mark.long
@pytest.mark.parametrize("place", ["head", "footer"])
def test_no_flipped_bit_beside_the_values_is_another_error(home: Home, place: str) -> None:
    chance = random.Random(place)
    expected = SearchIndex.open(home.uri).similar(QUERIES)
    for path in sorted(Path(table(home).uri, "mapped").glob("*/*.arrow")):
        content = path.read_bytes()
        manifest = json.loads(path.with_name("_manifest.json").read_text())
        names = [Path(file["path"]).name for file in manifest["files"]]
        begin, end, _ = manifest["facts"]["checks"][names.index(path.name)][0]
        first, last = (begin, begin + 800) if place == "head" else (end, len(content))
        for _ in range(25):
            changed = bytearray(content)
            changed[chance.randrange(first, min(last, len(content)))] ^= 1 << chance.randrange(8)
            path.write_bytes(changed)
            try:
                assert SearchIndex.open(home.uri).similar(QUERIES) == expected
            except DamagedFileError as error:
                assert f"{path.name} is damaged" in str(error)  # noqa: PT017
        path.write_bytes(content)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


@pytest.mark.parametrize("change", [Path.unlink, cut])
@pytest.mark.parametrize("name", ["_manifest.json", "00000-*.arrow"])
@pytest.mark.long
def test_without_whole_files_the_table_is_read(
    home: Home, tmp_path: Path, change: Callable[[Path], None], name: str
) -> None:
    expected = SearchIndex.open(home.uri).similar(QUERIES)
    for path in Path(table(home).uri, "mapped").glob(f"*/{name}"):
        change(path)
    index = SearchIndex.open(home.uri)
    assert index.mapped_bytes == 0
    assert index.similar(QUERIES) == expected
    map_index(home)
    assert SearchIndex.open(home.uri).mapped_bytes > 0


@pytest.mark.long
def test_a_vacuum_removes_the_mapped_files_that_no_kept_version_uses(home: Home, tmp_path: Path) -> None:
    old = mapped_of(table(home).at())
    make_corpus(tmp_path / "home", files(range(8, 10)))
    map_index(home)
    new = mapped_of(table(home).at())
    later = datetime.now(UTC) + timedelta(days=1)
    kept = kept_versions(home, later, ())[TFIDF_INDEX.name]
    removal = vacuum(table(home), kept, later)
    assert old <= set(removal.files)
    assert all(Path(table(home).uri, path).is_file() for path in new)
    assert folders(home) == ["facts", "rows"]
    index = SearchIndex.open(home.uri)
    assert not index._rows.loaded
    assert_same(index, unmapped(index, tmp_path / "copy"))


@pytest.mark.long
def test_they_are_carried_with_their_table(home: Home, tmp_path: Path) -> None:
    place = Home(str(tmp_path / "place"))
    for name in home.names():
        carry(home, place, missing(home, place, name))
    assert missing(home, place, TFIDF_INDEX.name).files == ()
    index = SearchIndex.open(place.uri)
    assert not index._rows.loaded
    assert_same(index, SearchIndex.open(home.uri))
