"""Parsing a source file: what becomes of good and bad records, and how rows are cut into shards."""

import gzip
import hashlib
import io
import threading
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from Bio import SeqIO
from Bio.SeqUtils import gc_fraction

from opengenome_assets.corpus.passes.parse import (
    ROW_GROUP_BYTES,
    Parsed,
    ParseSettings,
    ParseTask,
    RowGroups,
    parse_file,
)
from opengenome_assets.corpus.settings import SAMPLE_FOLDER
from opengenome_assets.intake.kinds import FASTA
from opengenome_assets.intake.sources import list_source
from opengenome_assets.intake.streams import StoredFile
from opengenome_assets.storage.parts import find_part

DEFAULTS = ParseSettings(
    min_length=0,
    drop_ambiguous=False,
    first_records=None,
    compression="zstd",
    max_records_per_shard=100_000,
    max_bases_per_shard=2**27,
)


@pytest.fixture
def parse(tmp_path):
    """Parse bytes as a file, and give the result with its rows and refused records as dicts."""

    def run(content: bytes, name="a.fa", **settings) -> tuple[Parsed, list[dict], list[dict]]:
        file = tmp_path / name
        file.write_bytes(content)
        task = ParseTask(
            source="source",
            path=name,
            files=(StoredFile(name, str(file), hashlib.sha256(content).hexdigest()),),
            shards_key="key",
            rejected_key="key",
            shards_uri=str(tmp_path / "shards"),
            rejected_uri=str(tmp_path / "rejected"),
            settings=replace(DEFAULTS, **settings),
        )
        parsed = parse_file(task)
        if parsed.error:
            return parsed, [], []
        return parsed, read(tmp_path / "shards", parsed.accepted), read(tmp_path / "rejected", parsed.rejected)

    def read(folder, part) -> list[dict]:
        return [row for file in part.files for row in pq.read_table(folder / file.path).to_pylist()]

    return run


@pytest.mark.slow
def test_rows_are_what_biopython_reads(parse):
    for file in list_source("sample", FASTA, sample=SAMPLE_FOLDER).files:
        with open(file.uri, "rb") as stream:
            content = stream.read()
        parsed, rows, rejected = parse(content, name=file.path)
        records = list(SeqIO.parse(io.StringIO(gzip.decompress(content).decode()), "fasta"))
        assert not rejected
        assert [row["seq_id"] for row in rows] == [record.id for record in records]
        assert [f"{row['seq_id']} {row['description']}" for row in rows] == [r.description for r in records]
        assert [row["sequence"] for row in rows] == [str(record.seq).upper() for record in records]
        assert [row["length"] for row in rows] == [len(record) for record in records]
        for row, record in zip(rows, records, strict=True):
            assert row["gc_content"] == pytest.approx(gc_fraction(record.seq, ambiguous="remove"), abs=1e-12) or (
                set(record.seq) & set("SW")  # Biopython counts these two as GC and AT, we do not
            )
            assert row["acgt_bases"] == sum(record.seq.count(letter) for letter in "ACGT")
        assert parsed.accepted.facts["header_lines"] == parsed.accepted.facts["records"] == len(records)


@pytest.mark.slow
def test_one_row_a_sequence_in_upper_case(parse):
    _, rows, _ = parse(b">one first one\nacg\nTNN\n>two\nNNN")
    assert rows == [
        {
            "source": "source",
            "file": "a.fa",
            "seq_id": "one",
            "description": "first one",
            "length": 6,
            "sequence": "ACGTNN",
            "gc_content": 0.5,
            "acgt_bases": 4,
        },
        {
            "source": "source",
            "file": "a.fa",
            "seq_id": "two",
            "description": "",
            "length": 3,
            "sequence": "NNN",
            "gc_content": None,
            "acgt_bases": 0,
        },
    ]


# Each bad record stands between two good ones, which must survive it.
@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (b">empty\n", "empty sequence"),
        (b">blank lines\n\n\n", "empty sequence"),
        (b">\nACGT\n", "no identifier"),
        (b">digit\nAC1GT\n", "illegal letter '1' at base 3 (line 4)"),
        (b">star\nACGT\nAC*\n", "illegal letter '*' at base 7 (line 5)"),
        (b">gap\nAC--GT\n", "illegal letter '-'"),
        (b">protein\nMEEPQSDPSVEPPLSQ\n", "illegal letter 'E' at base 2 (line 4)"),
        (b">rna\nACGU\n", "U is RNA"),
        (b">space\nAC GT\n", "illegal letter ' '"),
        (b">nul\nAC\x00GT\n", "illegal letter"),
        (b">binary\n\xff\xfe\xfd\n", "illegal letter (byte 0xff)"),
        (b">before again\nACGT\n", "'before' stands on an earlier record"),
    ],
)
def test_a_bad_record_is_refused_with_its_place_and_reason_and_the_others_stay(parse, record, reason):
    parsed, rows, rejected = parse(b">before\nACGT\n" + record + b">after\nGGCC\n")
    assert [(row["seq_id"], row["sequence"]) for row in rows] == [("before", "ACGT"), ("after", "GGCC")]
    (refused,) = rejected
    assert reason in refused["reason"]
    assert (refused["record"], refused["line"], refused["file"]) == (2, 3, "a.fa")
    assert refused["header"] == record.split(b"\n")[0][1:].decode("latin-1")
    facts = parsed.accepted.facts
    assert (facts["records"], facts["accepted"], facts["rejected"], facts["header_lines"]) == (3, 2, 1, 3)


def test_an_identifier_is_taken_by_the_first_good_record(parse):
    _, rows, rejected = parse(b">x\nAC*\n>x\nACGT\n>x\nGGCC\n")
    assert [row["sequence"] for row in rows] == ["ACGT"]
    assert [row["record"] for row in rejected] == [1, 3]


@pytest.mark.parametrize(
    "content",
    [
        b">a b\r\nAC\r\nGT\r\n>c\r\nGG\r\n",
        b">a b\nAC\nGT\n>c\nGG",
        b"\n\n>a b\n\nACGT\n\n>c\nGG\n\n",
        b">a b\nacgt\n>c\ngg\n",
    ],
    ids=["CRLF", "no final newline", "blank lines", "lower case"],
)
def test_harmless_oddities_are_accepted(parse, content):
    _, rows, rejected = parse(content)
    assert not rejected
    assert [(r["seq_id"], r["description"], r["sequence"]) for r in rows] == [("a", "b", "ACGT"), ("c", "", "GG")]


def test_a_header_that_is_not_utf8_is_kept(parse):
    _, rows, _ = parse(b">a caf\xe9\nACGT\n>b caf\xc3\xa9\nACGT\n")
    assert [row["description"] for row in rows] == ["café", "café"]


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"", "empty file"),
        (b"\n \n"[:1], "empty file or only blank lines"),
        (b"ACGT\n>a\nACGT\n", "line 1: expected a line starting with '>', found 'ACGT'"),
        (b"LOCUS  NC_012920\n", "expected a line starting with '>'"),
        (b"\x7fELF\x02\x01\x01\x00", "found binary data"),
        (gzip.compress(b">a\n" + b"ACGT" * 1000)[:-9], "ends early"),
        (gzip.compress(b">a\nACGT\n")[:-8] + b"\0" * 8, "damaged"),
        (b"\x1f\x8bnot a gzip stream at all", "damaged"),
    ],
    ids=["empty", "blank", "text first", "GenBank", "binary", "truncated gzip", "wrong CRC", "junk after gzip magic"],
)
def test_a_file_that_is_no_fasta_fails_by_name_and_leaves_no_part(parse, tmp_path, content, error):
    parsed, _, _ = parse(content)
    assert error in parsed.error
    assert str(tmp_path / "a.fa") in parsed.error
    assert find_part(str(tmp_path / "shards"), "key") is None


def test_a_compressed_file_with_a_plain_name_is_read(parse):
    _, rows, _ = parse(gzip.compress(b">a\nACGT\n"), name="a.fasta")
    assert rows[0]["sequence"] == "ACGT"


@pytest.mark.parametrize("first_records", [None, 1])
def test_a_file_that_changed_since_it_was_catalogued_is_not_taken(tmp_path, first_records):
    file = tmp_path / "a.fa"
    file.write_bytes(b">a\nACGT\n" + b">b\n" + b"ACGT" * 2_000_000)  # more than is read ahead
    files = (StoredFile("a.fa", str(file), "0" * 64),)
    settings = replace(DEFAULTS, first_records=first_records)
    task = ParseTask("s", "a.fa", files, "key", "key", f"{tmp_path}/s", f"{tmp_path}/r", settings)
    said = parse_file(task).error
    assert "changed since it was catalogued" in said
    assert "Materialise raw_fasta again" in said
    assert find_part(f"{tmp_path}/s", "key") is None


def test_shorter_and_ambiguous_sequences_are_left_out_on_request_and_are_no_refusals(parse):
    content = b">short\nACG\n>ambiguous\nACGTN\n>good\nACGTA\n"
    parsed, rows, rejected = parse(content, min_length=4, drop_ambiguous=True)
    assert [row["seq_id"] for row in rows] == ["good"]
    assert not rejected
    facts = parsed.accepted.facts
    assert (facts["too_short"], facts["ambiguous"], facts["accepted"], facts["records"]) == (1, 1, 1, 3)


def test_the_sample_mode_reads_the_first_records_good_or_bad(parse):
    parsed, rows, rejected = parse(b">a\nAC\n>b\nA*\n>c\nGG\n>d\nTT\n", first_records=3)
    assert [row["seq_id"] for row in rows] == ["a", "c"]
    assert [row["record"] for row in rejected] == [2]
    assert parsed.accepted.facts["records"] == 3
    assert parsed.accepted.facts["header_lines"] is None


@pytest.mark.parametrize(
    ("settings", "shards"),
    [
        ({"max_records_per_shard": 2}, [2, 2, 1]),
        ({"max_bases_per_shard": 10}, [2, 1, 1, 1]),
        ({"max_bases_per_shard": 1}, [1, 1, 1, 1, 1]),
        ({}, [5]),
    ],
)
def test_shards_are_bounded_by_records_and_by_bases(parse, settings, shards):
    lengths = [4, 6, 20, 4, 7]
    content = b"".join(b">%d\n%s\n" % (i, b"A" * length) for i, length in enumerate(lengths))
    parsed, rows, _ = parse(content, **settings)
    assert [file.rows for file in parsed.accepted.files] == shards
    assert [row["length"] for row in rows] == lengths
    assert sum(parsed.accepted.facts["shard_bases"]) == sum(lengths)
    assert len(parsed.accepted.facts["shard_bases"]) == len(shards)


def test_a_file_whose_records_are_all_refused_gives_a_part_without_rows(parse):
    parsed, rows, rejected = parse(b">a\n\n>b\n\n")
    assert (rows, len(rejected), parsed.accepted.files) == ([], 2, ())


@pytest.mark.long
def test_row_groups_are_bounded(parse, tmp_path):
    content = b"".join(b">%d\n%s\n" % (i, b"ACGT" * (1 << 20)) for i in range(10))
    parsed, _, _ = parse(content)
    (file,) = parsed.accepted.files
    metadata = pq.ParquetFile(tmp_path / "shards" / file.path).metadata
    assert metadata.num_row_groups >= 2
    assert pa.types.is_large_string(pq.read_schema(tmp_path / "shards" / file.path).field("sequence").type)


def test_a_header_that_is_a_whole_file_is_cut(parse):
    _, _, rejected = parse(b">" + b"x" * 5000 + b"\n>good\nACGT\n")
    (refused,) = rejected
    assert refused["header"] == "x" * 1000 + "… (5,000 characters)"


class SlowWriter:
    """A writer that writes only when it is allowed to."""

    def __init__(self):
        self.allowed = threading.Event()
        self.written: list[int] = []

    def write(self, table: pa.Table) -> None:
        assert self.allowed.wait(30)
        self.written.append(table.num_rows)


def test_rows_are_written_while_the_next_are_parsed():
    writer, rows = SlowWriter(), pa.table({"sequence": ["A" * ROW_GROUP_BYTES]})
    with RowGroups(writer) as groups:
        groups.write(rows)  # returns, though nothing is written yet
        assert writer.written == []
        writer.allowed.set()
        groups.write(rows)
        groups.finish()
        assert writer.written == [1, 1]


def test_an_error_of_the_writer_is_raised_where_rows_are_written():
    class FullDisk:
        def write(self, table: pa.Table) -> None:
            raise OSError("no space left on device")

    def write() -> None:
        with RowGroups(FullDisk()) as groups:
            groups.write(pa.table({"sequence": ["A" * ROW_GROUP_BYTES]}))
            groups.finish()

    with pytest.raises(OSError, match="no space left"):
        write()
