"""Parsing units of several files, and of several FASTA files in one: rows, refused records and what adds up."""

import gzip
import hashlib
import io
import tarfile
from dataclasses import replace

import pyarrow.parquet as pq
import pytest

from opengenome_assets.corpus.passes.parse import ParseTask, parse_file
from opengenome_assets.intake.streams import StoredFile
from opengenome_assets.storage.parts import find_part
from opengenome_assets_tests.corpus.passes.test_parse import DEFAULTS

FASTA = b">a first\nACGTTTGACA\nCCGTA\n>bad\nAC!\n>b\nGGATCCNN\n>a\nTT\n"


@pytest.fixture
def parse(tmp_path):
    """Parse a unit's files, kept under names that tell nothing; the result, its rows and refused records."""
    tables = {"accepted": tmp_path / "shards", "rejected": tmp_path / "rejected"}

    def run(path, files: dict[str, bytes], key="key", **settings):
        stored = []
        for name, content in files.items():
            sha256 = hashlib.sha256(content).hexdigest()
            (tmp_path / sha256).write_bytes(content)
            stored.append(StoredFile(name, str(tmp_path / sha256), sha256))
        uris = (str(folder) for folder in tables.values())
        parsed = parse_file(ParseTask("source", path, tuple(stored), key, key, *uris, replace(DEFAULTS, **settings)))
        if parsed.error:
            assert find_part(str(tables["accepted"]), key) is None
            return parsed, [], []
        return parsed, *(
            [row for file in getattr(parsed, name).files for row in pq.read_table(folder / file.path).to_pylist()]
            for name, folder in tables.items()
        )

    return run


def tar_of(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


@pytest.mark.slow
def test_a_gzip_cut_at_any_byte_in_two_to_four_parts_gives_the_rows_of_the_whole(parse):
    content = gzip.compress(FASTA, mtime=0)
    whole, rows, refused = parse("in/x.fa.gz", {"in/x.fa.gz": content})
    assert ([row["seq_id"] for row in rows], len(refused)) == (["a", "b"], 2)
    for place in range(1, len(content)):
        for places in ([place], [place // 2, place], [place // 2, place, (place + len(content)) // 2]):
            bounds = [0, *places, len(content)]
            parts = {f"in/x.fa.gz.0{i}": content[bounds[i] : bounds[i + 1]] for i in range(len(bounds) - 1)}
            parsed, *found = parse("in/x.fa.gz", parts, key=f"{places}")
            assert found == [rows, refused]
            assert parsed.accepted.facts == {
                **whole.accepted.facts,
                "sha256": [hashlib.sha256(part).hexdigest() for part in parts.values()],
            }


def test_an_archive_gives_the_rows_of_its_members_by_their_path(parse):
    members = {
        "in/one.fa": FASTA,
        "in/README.md": b"text",
        "two.fa.gz": gzip.compress(FASTA + b">c\nAC\n"),
        ".x.fa": b"",
    }
    parsed, rows, refused = parse("a/x.tar.gz", {"a/x.tar.gz": gzip.compress(tar_of(members))})
    assert [(row["file"], row["seq_id"]) for row in rows] == [
        ("a/x.tar.gz/in/one.fa", "a"),
        ("a/x.tar.gz/in/one.fa", "b"),
        ("a/x.tar.gz/two.fa.gz", "a"),
        ("a/x.tar.gz/two.fa.gz", "b"),
        ("a/x.tar.gz/two.fa.gz", "c"),
    ]
    places = [(row["file"], row["record"], row["line"]) for row in refused]
    assert places == [(f"a/x.tar.gz/{name}", *at) for name in ("in/one.fa", "two.fa.gz") for at in ((2, 4), (4, 8))]
    facts = parsed.accepted.facts
    assert (facts["header_lines"], facts["records"], facts["accepted"], facts["rejected"]) == (9, 9, 5, 4)
    assert (facts["members"], facts["left_out"], facts["left_out_first"]) == (2, 2, ["in/README.md", ".x.fa"])
    assert facts["file"] == "a/x.tar.gz"
    assert parsed.rejected.facts == {name: value for name, value in facts.items() if name != "shard_bases"}


def test_shards_and_row_groups_go_across_members(parse, tmp_path):
    members = {f"{i}.fa": b">x\n" + b"ACGT" * 250 + b"\n>bad\n\n" for i in range(100)}
    parsed, rows, refused = parse("x.tar", {"x.tar": tar_of(members)}, max_records_per_shard=40)
    assert [file.rows for file in parsed.accepted.files] == [40, 40, 20]
    assert parsed.accepted.facts["shard_bases"] == [40_000, 40_000, 20_000]
    assert [row["file"] for row in rows] == [row["file"] for row in refused] == [f"x.tar/{i}.fa" for i in range(100)]
    for file in (*(tmp_path / "shards").rglob("*.parquet"), *(tmp_path / "rejected").rglob("*.parquet")):
        assert pq.ParquetFile(file).metadata.num_row_groups == 1


def test_the_sample_mode_reads_the_first_records_of_an_archive(parse):
    content = tar_of({"1.fa": b">a\nAC\n>b\nA*\n", "2.fa": b">a\nGG\n>c\nTT\n", "3.fa": b"never looked at"})
    for count, ids in ((1, ["a"]), (2, ["a"]), (3, ["a", "a"]), (4, ["a", "a", "c"])):
        parsed, rows, refused = parse("x.tar", {"x.tar": content}, key=str(count), first_records=count)
        if count == 4:  # whether that was all is known only from what follows
            assert "x.tar" in parsed.error
            continue
        assert [row["seq_id"] for row in rows] == ids
        assert len(refused) == (count > 1)
        assert (parsed.accepted.facts["records"], parsed.accepted.facts["header_lines"]) == (count, None)


def test_a_bad_member_fails_the_archive_and_leaves_no_part(parse):
    parsed, _, _ = parse("x.tar", {"x.tar": tar_of({"good.fa": FASTA, "in/bad.fa": b"GGATCC"})})
    assert "/in/bad.fa, line 1: expected a line starting with '>', found 'GGATCC'" in parsed.error
    assert "x.tar" in parsed.error


def test_an_archive_that_changed_behind_its_last_member_is_not_taken(parse, tmp_path):
    content = tar_of({"good.fa": FASTA})
    sha256 = hashlib.sha256(content).hexdigest()
    (tmp_path / "x.tar").write_bytes(content + bytes(10240))
    files = (StoredFile("x.tar", str(tmp_path / "x.tar"), sha256),)
    parsed = parse_file(ParseTask("s", "x.tar", files, "key", "key", f"{tmp_path}/s", f"{tmp_path}/r", DEFAULTS))
    assert f"{tmp_path}/x.tar: changed since it was catalogued" in parsed.error
    assert "Materialise raw_fasta again" in parsed.error
