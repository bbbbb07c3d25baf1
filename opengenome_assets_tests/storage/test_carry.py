"""Transport: there and back it is the same table with the same history, and nothing half is ever seen."""

import json
import shutil
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow.fs as pafs
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from deltalake import DeltaTable

from opengenome_assets import groups
from opengenome_assets.cli import main
from opengenome_assets.definitions import build_defs
from opengenome_assets.operations.reproduce import reproduce
from opengenome_assets.storage import carry as transport
from opengenome_assets.storage.carry import DivergedError, TransportError, carry, missing
from opengenome_assets.storage.lease import Lease, LostLeaseError
from opengenome_assets.storage.parquet.file import DamagedFileError
from opengenome_assets.storage.parts import find_part
from opengenome_assets.storage.record import Provenance
from opengenome_assets.storage.seals import DamagedTableError
from opengenome_assets.storage.tables import Home
from opengenome_assets.storage.vacuum import vacuum
from opengenome_assets_tests.corpora import ENGINE, Corpus
from opengenome_assets_tests.object_store import object_store
from opengenome_assets_tests.processes import started, typed, wait_for
from opengenome_assets_tests.storage.numbers import NAME, commit, compact, content, held, make
from opengenome_assets_tests.twice import Twice, use


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A table of three versions."""
    home = Home(str(tmp_path / "home"))
    for number in range(3):
        commit(home, [number, number + 1])
    return home


@pytest.fixture
def place(tmp_path: Path) -> Home:
    """Where tables are carried to."""
    return Home(str(tmp_path / "place"))


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch, object_store(patch) as uri:
        yield uri


def push(home: Home, place: Home) -> transport.Freight:
    freight = missing(home, place, NAME)
    carry(home, place, freight)
    return freight


def log(home: Home, name: str = NAME) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in Path(home.table(name).uri, "_delta_log").glob("*.json")}


@pytest.mark.parametrize("store", ["folder", "file URI", "object store"])
@pytest.mark.slow
def test_there_and_back_it_is_the_same_table_with_its_history(
    home: Home, tmp_path: Path, store: str, request: pytest.FixtureRequest
) -> None:
    uri = {"folder": f"{tmp_path}/place", "file URI": f"file://{tmp_path}/place"}.get(store)
    place = Home(uri or f"{request.getfixturevalue('bucket')}/there")
    compact(home)
    first = push(home, place)
    assert (first.versions, first.ahead) == ((0, 1, 2, 3), 0)
    commit(home, [5])
    second = push(home, place)
    assert second.versions == (4,)
    assert {path.partition("/")[0] for path in second.files} == {"005"}
    assert push(home, place).files == ()

    back = Home(str(tmp_path / "back"))
    push(place, back)
    for version, numbers in {0: [0, 1], 1: [1, 2], 2: [2, 3], 3: [2, 3], 4: [5]}.items():
        assert content(place, version) == content(back, version) == held(*numbers)
        assert back.table(NAME).provenance(version) == home.table(NAME).provenance(version)
    assert log(back) == log(home)
    assert DeltaTable(place.table(NAME).uri).to_pyarrow_table().num_rows == 4
    # Work that was done is found there too, and the next commit builds on it.
    assert commit(back, [0, 1]).files_added == 4
    assert push(back, place).versions == (5,)
    assert missing(home, place, NAME).ahead == 1
    assert push(home, place).files == ()
    assert push(place, home).versions == (5,)
    assert content(home) == held(0, 1)


@pytest.mark.slow
def test_every_asset_is_carried_and_nothing_is_made_again_there(twice: Twice, tmp_path: Path) -> None:
    place = str(tmp_path / "place")
    there = json.loads(CliRunner().invoke(main, ["push", place, "--dry-run", "--format", "json"]).output)
    assert not Path(place).exists()
    carried = json.loads(CliRunner().invoke(main, ["push", place, "--format", "json"]).output)
    assert carried["tables"] == there["tables"]
    assert [each["name"] for each in carried["tables"]] == twice.home.names()
    moved = Corpus(Home(place), twice.corpus.source)
    result = moved.materialize()
    assert moved.metadata(result, "sequence_shards")["files_reused"] == 2
    assert moved.metadata(result, "kmer_")["shards_reused"] == moved.metadata(result, "kmer_")["shards"]


@pytest.mark.parametrize("after", range(15))  # 4 parts of 3 files, 3 entries of the log
@pytest.mark.long
def test_wherever_it_is_interrupted_readers_see_whole_versions_and_the_next_goes_on(
    home: Home, place: Home, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    begun, move = count(), pafs.LocalFileSystem.move

    class Dying(pafs.LocalFileSystem):
        def move(self, source: str, target: str) -> None:
            if next(begun) >= after:
                raise KeyboardInterrupt
            move(self, source, target)

    with monkeypatch.context() as patch:
        for module in ("carry", "files"):
            patch.setattr(f"opengenome_assets.storage.{module}.filesystem", lambda uri: (Dying(), uri))
        patch.setattr(transport, "AT_ONCE", 1)
        with pytest.raises(KeyboardInterrupt):
            push(home, place)
    versions = len(log(place)) if place.table(NAME).exists() else 0
    for version in range(versions):
        assert content(place, version) == held(version, version + 1)
    arrived = {str(path.relative_to(place.table(NAME).uri)) for path in Path(place.table(NAME).uri).rglob("*.*")}
    rest = push(home, place)
    assert not arrived & set(rest.files)
    assert log(place) == log(home)
    assert [content(place, version) for version in range(3)] == [content(home, version) for version in range(3)]


@pytest.mark.slow
def test_a_push_that_is_killed_is_continued(tmp_path: Path) -> None:
    home, place = (Home(str(tmp_path / name)) for name in ("home", "place"))
    commit(home, range(400))
    command = [str(Path(sys.executable).with_name("opengenome")), "push", place.uri]
    folder = Path(place.table(NAME).uri)
    with started(command, Path(home.uri)) as process:
        wait_for(lambda: len(list(folder.glob("*/_manifest.json"))) > 5, "part at the other side")
        process.kill()
        process.wait()
    arrived = len(list(folder.glob("*/*")))
    assert not place.table(NAME).exists()
    assert len(list(folder.glob("*/_manifest.json"))) < 400
    printed = typed(f"opengenome push {place.uri} --format json", Path(home.uri))
    (carried,) = json.loads(printed)["tables"]
    assert len(carried["files"]) >= 1200 - arrived > 0
    assert content(place) == content(home)


def test_histories_that_diverged_are_refused_and_nothing_is_carried(home: Home, place: Home) -> None:
    push(home, place)
    commit(home, [7])
    commit(place, [8])
    before = log(home), log(place)
    for source, target in ((home, place), (place, home)):
        with pytest.raises(DivergedError, match=r"numbers: version 3 of .* are not the same.*move the other's folder"):
            missing(source, target, NAME)
    result = CliRunner().invoke(main, ["push", place.uri], env={"OPENGENOME_HOME": home.uri})
    assert (result.exit_code, "Nothing was carried" in result.output) == (1, True)
    assert (log(home), log(place)) == before


def test_a_commit_there_in_the_meantime_is_not_overwritten(home: Home, place: Home) -> None:
    push(home, place)
    commit(home, [7])
    freight = missing(home, place, NAME)
    commit(place, [8])
    before = log(place)
    with pytest.raises(DivergedError):
        carry(home, place, freight)
    assert log(place) == before
    assert content(place) == held(8)


def test_what_is_damaged_here_is_not_carried(home: Home, place: Home) -> None:
    (path, *_) = sorted(Path(home.table(NAME).uri, "002").glob("*.parquet"))
    whole = path.read_bytes()
    flipped = bytearray(whole)
    column = pq.read_metadata(path).row_group(0).column(1)
    flipped[column.data_page_offset + column.total_compressed_size - 1] ^= 1
    for damaged, words in ((bytes(flipped), "is damaged"), (whole[:-1], "gone or was cut")):
        path.write_bytes(damaged)
        with pytest.raises(DamagedFileError, match=rf"{path}.*{words}"):
            push(home, place)
        assert not place.table(NAME).exists()
    path.unlink()
    with pytest.raises(DamagedFileError, match="gone or was cut"):
        push(home, place)
    path.write_bytes(whole)
    entry = Path(home.table(NAME).uri, "_delta_log", f"{1:020}.json")
    entry.write_bytes(entry.read_bytes().replace(b'\\"code_version\\":\\"', b'\\"code_version\\":\\"9'))
    with pytest.raises(DamagedTableError):
        push(home, place)
    assert not place.table(NAME).exists()


def test_what_a_killed_attempt_left_beside_a_finished_part_stays_and_parts_of_no_version_travel(
    home: Home, place: Home
) -> None:
    folder = Path(home.table(NAME).uri, "002")
    whole, *_ = sorted(folder.glob("*.parquet"))
    (folder / "00000-0123abcd.parquet").write_bytes(whole.read_bytes()[:-9])
    unused = make(home, 7)
    push(home, place)
    assert content(place) == content(home)
    arrived = {path.name for path in Path(place.table(NAME).uri, "002").iterdir()}
    assert arrived == {path.name for path in folder.iterdir()} - {"00000-0123abcd.parquet"}
    assert find_part(place.table(NAME).uri, "007") == unused


def test_what_arrives_otherwise_than_it_was_sent_is_not_kept(
    home: Home, place: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Sink:
        def __init__(self, stream: Any) -> None:
            self.stream = stream

        def __enter__(self) -> "Sink":
            return self

        def __exit__(self, *_: object) -> None:
            self.stream.close()

        def write(self, block: bytes) -> None:
            self.stream.write(bytes(block)[:-1] + b"?")

    class Noisy(pafs.LocalFileSystem):
        def open_output_stream(self, path: str, **options: Any) -> Any:
            return Sink(super().open_output_stream(path, **options))

    with monkeypatch.context() as patch:
        patch.setattr(transport, "filesystem", lambda uri: (Noisy(), uri))
        with pytest.raises(TransportError, match=r"arrived, .* was sent\. Run it again"):
            push(home, place)
    assert not [path for path in Path(place.uri).rglob("*") if path.is_file()]
    push(home, place)
    assert content(place) == content(home)


def test_a_lease_that_is_lost_while_files_travel_ends_the_transport_before_the_log(home: Home, place: Home) -> None:
    class Expiring(Lease):
        checks = 0

        def refuse_lost(self) -> None:
            self.checks += 1
            if self.checks > 1:
                raise LostLeaseError("lost")

    with pytest.raises(LostLeaseError):
        push(home, Home(place.uri, Expiring(place.uri, "a test")))
    assert list(Path(place.uri).rglob("*.parquet"))
    assert log(place) == {}
    push(home, place)
    assert content(place) == content(home)


def test_versions_that_were_removed_are_missing_there_too_and_said_to_be(home: Home, place: Home) -> None:
    history = home.table(NAME).history()
    for path in Path(home.uri).rglob("*"):
        path.touch()
    vacuum(home.table(NAME), {2}, max(version.made for version in history.versions.values()).replace(year=2100))
    push(home, place)
    assert content(place) == held(2, 3)
    assert place.table(NAME).provenance(0) == home.table(NAME).provenance(0)
    with pytest.raises(LookupError, match="version 0 cannot be read any more"):
        content(place, 0)


def test_with_the_raw_files_a_table_is_reproduced_where_the_corpus_never_was(
    twice: Twice, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = shutil.copytree(twice.corpus.source, tmp_path / "fasta")
    made = Corpus(Home(str(tmp_path / "made")), str(files))
    made.materialize("raw_fasta,sequence_shards,rejected_records")
    use(monkeypatch, made.home.uri)
    place, elsewhere = tmp_path / "place", Home(str(tmp_path / "elsewhere"))
    assert CliRunner().invoke(main, ["push", str(place), "--with-raw"]).exit_code == 0
    shutil.rmtree(files)
    use(monkeypatch, elsewhere.uri)
    told = CliRunner().invoke(main, ["pull", str(place), "--with-raw", "--format", "json"])
    assert json.loads(told.output)["raw_files"] == 2
    again = CliRunner().invoke(main, ["pull", str(place), "--with-raw", "--format", "json"])
    assert json.loads(again.output)["raw_files"] == 0

    def build(record: Provenance, scratch: str) -> dg.Definitions:
        return build_defs(groups.settings_of(record, scratch))

    for name in ("raw_fasta", "sequence_shards"):
        result = reproduce(elsewhere, groups.specs(), build, name, None, str(tmp_path / name), ENGINE)
        assert result.comparison.identical


def test_a_raw_file_that_is_not_what_it_was_is_not_carried(twice: Twice, tmp_path: Path) -> None:
    files = shutil.copytree(twice.corpus.source, tmp_path / "fasta")
    made = Corpus(Home(str(tmp_path / "made")), str(files))
    made.materialize("raw_fasta")
    changed = Path(files, "b", "y.fa")
    changed.write_text(changed.read_text().replace("TTGC", "TTGG", 1))
    result = CliRunner().invoke(
        main, ["push", f"{tmp_path}/place", "--with-raw"], env={"OPENGENOME_HOME": made.home.uri}
    )
    assert result.exit_code == 1
    assert "y.fa is damaged: expected SHA-256" in result.output
    assert not list(Path(tmp_path, "place", "raw").rglob("*y.fa*"))


def test_there_has_to_be_something_to_carry(tmp_path: Path) -> None:
    for arguments in (["pull", f"{tmp_path}/nowhere"], ["push", f"{tmp_path}/x", "kmer_"]):
        result = CliRunner().invoke(main, arguments, env={"OPENGENOME_HOME": f"{tmp_path}/home"})
        assert result.exit_code == 1
        assert "there are no tables at" in result.output


def test_where_nothing_can_be_carried_it_is_said_why_and_what_to_do(home: Home, tmp_path: Path) -> None:
    Path(tmp_path, "file").write_text("")
    Path(tmp_path, "link").symlink_to(home.uri)
    for arguments, words in (
        ([f"{tmp_path}/file"], f"{tmp_path}/file: File exists. Check the path"),
        ([f"{tmp_path}/file/below"], f"{tmp_path}/file/below: Not a directory. Check the path"),
        ([f"{tmp_path}/link"], "is the home itself: name another folder"),
        ([f"file://{home.uri}"], "is the home itself: name another folder"),
        ([f"{tmp_path}/place", "nope"], f"there is no table nope at {home.uri}. There are: {NAME}"),
    ):
        result = CliRunner().invoke(main, ["push", *arguments], env={"OPENGENOME_HOME": home.uri})
        assert result.exit_code == 1
        assert words in result.output


@pytest.mark.long
def test_an_object_store_that_does_not_answer_is_told_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = {"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "y"}
    for name, value in {**closed, "AWS_REGION": "us-east-1"}.items():
        monkeypatch.setenv(name, value)
    result = CliRunner().invoke(main, ["pull", "s3://bucket/path"])
    assert result.exit_code == 1
    assert "Could not connect" in result.output
    assert "Check the address, and AWS_ENDPOINT_URL and the credentials in the environment" in result.output


def test_it_is_said_which_versions_can_be_read_there_and_which_side_has_more(home: Home, place: Home) -> None:
    for file in home.table(NAME).at(0).files:
        if file.path.startswith("000"):
            Path(home.table(NAME).uri, file.path).unlink()
    freight = push(home, place)
    assert (freight.readable, freight.unreadable) == ((1, 2), (0,))
    environment = {"OPENGENOME_HOME": home.uri}
    again = CliRunner().invoke(main, ["push", place.uri], env=environment).output
    assert "Everything was there already" in again
    assert f"Only in the log, since their files were removed or are gone\n  {NAME}: versions 0\n" in again
    commit(home, [7])
    told = CliRunner().invoke(main, ["pull", place.uri], env=environment).output
    assert f"none, 1 more at {home.uri}" in told
