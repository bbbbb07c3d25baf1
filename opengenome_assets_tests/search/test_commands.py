"""``search similar`` and ``search kmer``: what is read, the forms of results, and errors; once as a user types it."""

import bz2
import gzip
import json
import re
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from opengenome_assets.cli import main
from opengenome_assets.search import Query, SearchIndex, find_kmer
from opengenome_assets.search.rows import similar_rows
from opengenome_assets_tests.kernels.texts import sample
from opengenome_assets_tests.processes import typed
from opengenome_assets_tests.search.corpora import fasta, make_corpus

GENOMES = {source: dict(list(sample(source).items())[:4]) for source in ("mitochondria", "plastids")}
NAME, GENOME = next(iter(GENOMES["plastids"].items()))
PIECE = GENOME[5000:8000]
ABSENT = "ACGTACGTTTAAAAAACCGG"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two versions: first without plastids, then with them."""
    folder = tmp_path_factory.mktemp("home")
    files = {f"{source}/{source}.fasta": fasta(genomes) for source, genomes in GENOMES.items()}
    make_corpus(folder, {"mitochondria/mitochondria.fasta": files["mitochondria/mitochondria.fasta"]})
    make_corpus(folder, files)
    return folder


@pytest.fixture(autouse=True)
def surroundings(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENGENOME_HOME", str(home))
    monkeypatch.chdir(tmp_path)


def run(*arguments: str, stdin: bytes | None = None) -> Result:
    return CliRunner().invoke(main, ["search", *arguments], input=stdin)


def answer(*arguments: str, stdin: bytes | None = None) -> Any:
    result = run(*arguments, "--format", "json", stdin=stdin)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_hits_are_those_of_the_library(home: Path) -> None:
    index = SearchIndex.open(str(home))
    options = ["--top-n", "5", "--threshold", "0.2", "--source", "plastids", "--sort", "containment"]
    told = answer("similar", "--query", PIECE.lower(), *options)
    found = index.similar(
        [Query("query", PIECE.encode())], top_n=5, threshold=0.2, source="plastids", sort="containment"
    )
    assert told["hits"] == similar_rows([Query("query", b"")], found).to_pylist()
    assert told["hits"][0]["seq_id"] == NAME
    assert (told["table"], told["version"], told["data_version"]) == ("tfidf_index", 1, index.data_version)
    assert told["sequences_searched"] == 8
    assert told["settings"] == {
        "top_n": 5,
        "threshold": 0.2,
        "source": "plastids",
        "strand": "both",
        "sort": "containment",
    }
    assert told["candidates"] == 8


def test_queries_come_from_letters_files_and_standard_input(tmp_path: Path) -> None:
    record = f">{NAME} a piece\n{PIECE}\n".encode()
    (tmp_path / "plain.txt").write_bytes(record + b">second\n" + PIECE[:200].encode())
    (tmp_path / "packed.fasta.gz").write_bytes(gzip.compress(record))
    (tmp_path / "bare").write_text(PIECE[:1500] + "\n" + PIECE[1500:])
    (tmp_path / "data").write_bytes(record)  # letters of nucleotides, all four
    of_one = [hit["similarity"] for hit in answer("similar", "--query", PIECE)["hits"]]
    for given in ("packed.fasta.gz", "./bare", str(tmp_path / "data"), "./data", record.decode()):
        told = answer("similar", "--query", given)
        assert [hit["similarity"] for hit in told["hits"]] == of_one
        assert told["hits"][0]["query"] == ("query" if given == "./bare" else NAME)
    for stdin in (record, gzip.compress(record), bz2.compress(record)):
        assert [hit["similarity"] for hit in answer("similar", "--query", "-", stdin=stdin)["hits"]] == of_one
    told = answer("similar", "--query", "plain.txt", "--query", PIECE, "--query", PIECE[:50], "--top-n", "1")
    assert [hit["query"] for hit in told["hits"]] == [NAME, "second", "query3", "query4"]
    assert told["queries"] == 4


@pytest.mark.parametrize(
    ("query", "code", "message"),
    [
        (
            "missing.fasta",
            2,
            "--query 'missing.fasta' is not there, and no sequence either: 'i' is no nucleotide letter",
        ),
        ("ACGTACGTXACGT", 2, "is not there, and no sequence either: 'X' is no nucleotide letter"),
        ("data", 2, "--query data can be a sequence and is a file here: write ./data for the file"),
        (".", 2, "--query '.' is a folder, and no sequence either"),
        ("odd", 1, "query a?[31m: illegal letter 'X'"),
        ("reads.fastq", 1, "--query reads.fastq: expected a sequence or FASTA, found '@' at the start, as in FASTQ"),
        ("", 2, "--query '' is not there, and no sequence either. Expected a sequence, a file or -"),
        ("ACGTA", 1, "the query: no 6 letters in a row are all A, C, G or T, among 5"),
        ("ACGUACGU", 1, "RNA"),
        ("cut.gz", 1, "cut.gz: the gzip stream ends early"),
        ("empty", 1, "--query empty: expected a sequence or FASTA, found nothing"),
    ],
)
def test_what_cannot_be_searched_with_is_told(query: str, code: int, message: str, tmp_path: Path) -> None:
    (tmp_path / "data").write_text(PIECE)
    (tmp_path / "cut.gz").write_bytes(gzip.compress(PIECE.encode())[:200])
    (tmp_path / "empty").touch()
    (tmp_path / "odd").write_text(">a\x1b[31m\nACX\n")
    (tmp_path / "reads.fastq").write_text("@read\nACGT\n+\nIIII\n")
    result = run("similar", "--query", query)
    assert result.exit_code == code
    assert message in result.output
    assert "Traceback" not in result.output


def test_bad_records_are_refused_by_name_and_the_others_searched(tmp_path: Path) -> None:
    faulty = f"\n>empty\n\n>good\n{PIECE}\n>odd\n{PIECE[:70]}\nAC!GT\n>short\nACGTA\n>\n{PIECE}\n"
    (tmp_path / "faulty.fasta").write_text(faulty)
    (tmp_path / "reads.fastq").write_text("@read\nACGT\n+\nIIII\n")
    options = ["--query", "faulty.fasta", "--query", "reads.fastq", "--query", PIECE[:500], "--top-n", "1"]
    result = run("similar", *options)
    assert result.exit_code == 1
    refused = [line for line in result.stderr.splitlines() if line.startswith("Not searched: ")]
    assert [line.split(": ")[1] for line in refused] == [
        "--query faulty.fasta, record 1, line 2",
        "--query faulty.fasta, record 3, line 6",
        "--query faulty.fasta, record 4, line 9",
        "--query faulty.fasta, record 5, line 11",
        "--query reads.fastq",
    ]
    for line, reason in zip(
        refused,
        ["query empty: empty seq", "query odd: illegal letter '!' at base 73 (line 8)", "6 letters", "no id", "FASTQ"],
        strict=True,
    ):
        assert reason in line
    assert "Error: 5 of 7 records were not searched with" in result.stderr
    assert "2 hits for 2 queries" in result.stdout
    told = json.loads(run("similar", *options, "--format", "json").stdout)
    assert [(hit["query"], hit["seq_id"]) for hit in told["hits"]] == [("good", NAME), ("query2", NAME)]
    assert [(each["record"], each["line"]) for each in told["refused"]] == [(1, 2), (3, 6), (4, 9), (5, 11), (0, 0)]
    assert run("similar", *options, "--output", "hits.tsv").exit_code == 1
    assert '"line": 11' in (tmp_path / "hits.tsv").read_text()


def test_without_any_query_nothing_is_searched() -> None:
    result = run("similar", "--query", ">a\n\n>b\n\n")
    assert result.exit_code == 1
    assert "record 2, line 3: query b: empty sequence" in result.stderr
    assert "Error: no query can be searched with: 2 faults above" in result.stderr
    assert not result.stdout


@pytest.mark.long
def test_more_hits_than_a_search_reads_are_refused(tmp_path: Path) -> None:
    many = 1_000_000 // 8 + 1  # the corpus has 8 sequences
    (tmp_path / "many.fasta").write_text("".join(f">q{number}\nACGTACGT\n" for number in range(many)))
    refused = run("similar", "--query", str(tmp_path / "many.fasta"), "--top-n", "1000")
    said = " ".join(refused.output.split())
    assert refused.exit_code == 1
    assert "at most 1,000,000 hits over all queries" in said
    assert f"found {many:,} queries with up to 8 hits each" in said
    assert "search with fewer queries at a time" in said
    assert "query_hits has no such limit" in said


def test_standard_input_is_read_once() -> None:
    result = run("similar", "--query", "-", "--query", "-", stdin=PIECE.encode())
    assert result.exit_code == 2
    assert "--query - is given more than once" in result.output


def test_a_similarity_is_a_number() -> None:
    result = run("similar", "--query", PIECE, "--threshold", "nan")
    assert result.exit_code == 2
    assert "Invalid value for '--threshold': nan is no similarity" in result.output


def test_an_older_version_is_searched_as_it_was() -> None:
    told = answer("similar", "--query", PIECE, "--version", "0")
    assert (told["version"], told["sequences_searched"]) == (0, 4)
    assert {hit["source"] for hit in told["hits"]} == {"mitochondria"}
    told = answer("kmer", "--kmer", "acg", "--version", "0")
    assert (told["version"], told["sequences_searched"]) == (0, 4)


@pytest.mark.parametrize("command", [["similar", "--query", PIECE], ["kmer", "--kmer", "ACG"]])
@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["--version", "9"], 1, "has no version 9"),
        (["--source", "plastid"], 1, "no source is called"),
        (["--source", ""], 1, "no source is called ''"),
        (["--output", "hits.csv"], 2, "hits.csv: expected a name ending in .parquet, .tsv, .json"),
        (["--output", "nowhere/hits.tsv"], 2, "there is no folder nowhere"),
        (["--output", "hits.tsv", "--format", "json"], 2, "--format is the form of hits that are printed"),
        # Neither the file nor an unfinished one can be there, nor be removed.
        (["--output", f"{250 * 'a'}.json"], 1, "cannot be written: File name too long"),
    ],
)
def test_what_is_not_there_is_told(command: list[str], options: list[str], code: int, message: str) -> None:
    result = run(*command, *options)
    assert result.exit_code == code
    assert message in result.output
    assert list(Path().iterdir()) == []


@pytest.mark.parametrize(("command", "table"), [("similar", "tfidf_index"), ("kmer", "sequence_shards")])
def test_without_tables_the_next_command_is_told(
    command: str, table: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENGENOME_HOME", str(tmp_path))
    result = run(command, "--query" if command == "similar" else "--kmer", "ACGTACGT")
    assert result.exit_code == 1
    assert f"dagster asset materialize -m opengenome_assets.definitions --select '*{table}'" in result.output


def test_hits_in_files_are_those_on_the_terminal(tmp_path: Path) -> None:
    for command in (["similar", "--query", PIECE], ["kmer", "--kmer", "ACGTA", "--positions", "3"]):
        told = answer(*command)
        for ending in (".parquet", ".tsv", ".json"):
            result = run(*command, "--output", f"hits{ending}")
            assert result.exit_code == 0
            assert " ".join(result.output.split()).endswith(f" Written to hits{ending}.")
        facts = {name: value for name, value in told.items() if name != "hits"}
        table = pq.read_table("hits.parquet")
        assert table.to_pylist() == told["hits"]
        assert json.loads(table.schema.metadata[b"opengenome"]) == facts
        assert json.loads(Path("hits.json").read_text()) == told
        lines = Path("hits.tsv").read_text().splitlines()
        assert lines == run(*command, "--format", "tsv").output.splitlines()
        comments = [line.removeprefix("# ").split(": ", 1) for line in lines if line.startswith("#")]
        assert {name: json.loads(value) for name, value in comments} == facts
        header, *rows = (line.split("\t") for line in lines if not line.startswith("#"))
        assert header == table.column_names
        assert [row[header.index("seq_id")] for row in rows] == table["seq_id"].to_pylist()
        assert sorted(path.name for path in tmp_path.iterdir()) == ["hits.json", "hits.parquet", "hits.tsv"]
    assert rows[0][header.index("occurrences")] == ",".join(
        f"{place['start']}{place['strand']}" for place in told["hits"][0]["occurrences"]
    )


def test_both_strands_are_searched_unless_one_is_asked_for() -> None:
    back = PIECE[::-1].translate(str.maketrans("ACGT", "TGCA"))
    both, given = (answer("similar", "--query", back, *option)["hits"] for option in ((), ("--strand", "given")))
    assert [(hit["seq_id"], hit["strand"], hit["containment"]) for hit in both[:1]] == [(NAME, "-", 1.0)]
    assert {hit["strand"] for hit in given} == {"+"}
    assert max(hit["containment"] for hit in given) < 0.01
    assert answer("kmer", "--kmer", back[:25])["hits"][0]["reverse"] == 1
    assert answer("kmer", "--kmer", back[:25], "--strand", "given")["hits"] == []


def test_a_query_too_short_for_a_containment_says_so() -> None:
    output = run("similar", "--query", "ACGTACGTTG", "--sort", "containment").output
    assert output.startswith("query, 10 bases, too short for 17-mers:")
    assert " ".join(output.split()).endswith("They are sorted by containment, among the 8 most similar per query.")


def test_kmer_hits_are_those_of_the_library(home: Path) -> None:
    options = ["--min-count", "5", "--source", "plastids", "--limit", "3", "--positions", "4"]
    told = answer("kmer", "--kmer", "acgta", *options)
    found = find_kmer("ACGTA", home=str(home), min_count=5, source="plastids", limit=3, positions=4)
    assert [(hit["rank"], hit["seq_id"], hit["count"], hit["reverse"]) for hit in told["hits"]] == [
        (rank, hit.seq_id, hit.count, hit.reverse) for rank, hit in enumerate(found.hits, 1)
    ]
    assert len(told["hits"]) == 3
    assert told["sequences"] == found.sequences == 4
    assert told["occurrences"] == found.occurrences
    assert told["positions_each"] == 4
    assert [len(hit["occurrences"]) for hit in told["hits"]] == [4, 4, 4]
    assert "occurrences" not in answer("kmer", "--kmer", "ACGTA")["hits"][0]
    assert answer("kmer", "--kmer", "ACGTA", "--positions", "--limit", "0")["positions_each"] == 100


def test_lines_for_people() -> None:
    output = run("kmer", "--kmer", "ACGTA", "--limit", "1", "--positions").output
    heading, hit, _, *summary = output.splitlines()
    assert heading.split() == ["rank", "seq_id", "source", "count", "reverse", "length", "positions"]
    assert re.search(r"(?<!\d[+-] )(\d+[+-] ){5}and \d+ more$", hit)
    assert " ".join(summary).endswith("times in all. The first is listed.")
    assert max(map(len, summary)) <= 100
    output = run("similar", "--query", PIECE, "--top-n", "2").output
    title, heading, first, _, _, summary = output.splitlines()
    assert title == "query, 3,000 bases, containment of 21-mers:"
    assert heading.split() == [
        *("rank", "seq_id", "source", "similarity", "containment", "identity", "strand", "length", "description")
    ]
    assert first.split()[:3] == ["1", NAME, "plastids"]
    assert first.split()[4:8] == ["1.0000", "100.00", "%", "+"]
    assert summary == "2 hits for 1 query in version 1 of tfidf_index, which holds 8 sequences."


@pytest.mark.parametrize("command", [["similar", "--query", PIECE], ["kmer", "--kmer", "ACG"]])
def test_what_headers_say_neither_commands_the_terminal_nor_widens_the_table(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    header = f"{'n' * 300}\x1b[2J mine \x1b]0;title\x07 \u202egnp.exe"
    make_corpus(tmp_path / "home", {"odd/odd.fasta": f">{header}\n{PIECE}\n"})
    monkeypatch.setenv("OPENGENOME_HOME", str(tmp_path / "home"))
    output = run(*command).output
    assert "mine ?]0;title? ?gnp.exe" in output
    assert all(letter.isprintable() for letter in output.replace("\n", ""))
    assert max(map(len, output.splitlines())) < 160
    (hit,) = answer(*command)["hits"]
    assert f"{hit['seq_id']} {hit['description']}" == header


def test_no_hits_are_no_error_and_said() -> None:
    result = run("kmer", "--kmer", ABSENT, "--min-count", "2")
    assert result.exit_code == 0
    assert " ".join(result.output.split()) == (
        f"No hits: none of 8 sequences in version 1 of sequence_shards holds {ABSENT} or its reverse "
        "complement at least 2 times."
    )
    result = run("similar", "--query", PIECE, "--query", "ACGTACGT", "--threshold", "1")
    assert result.exit_code == 0
    assert result.output == (
        "query1, 3,000 bases: no hits\n\nquery2, 8 bases: no hits\n\n"
        "No hits for 2 queries in version 1 of tfidf_index, which holds 8 sequences.\n"
    )
    assert answer("similar", "--query", PIECE, "--threshold", "1")["queries_without_hits"] == ["query"]


@pytest.mark.slow
def test_as_a_user_types_it(home: Path, tmp_path: Path) -> None:
    (tmp_path / "query.fasta").write_text(f">piece\n{PIECE}\n")
    line = f"cat {tmp_path}/query.fasta | opengenome search similar --query - --top-n 1 --format tsv | tail -n 1"
    assert typed(line, home).split("\t")[:4] == ["piece", "1", NAME, "plastids"]
    line = f"opengenome search kmer --kmer ACGTAC --positions --output {tmp_path}/hits.json"
    assert typed(line, home).startswith("5 of 8 sequences in version 1 of sequence_shards hold ACGTAC or its reverse")
    assert json.loads((tmp_path / "hits.json").read_text())["version"] == 1
