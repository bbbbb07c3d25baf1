"""Jobs at the command line, with the real kinds of the groups."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from opengenome_assets import groups
from opengenome_assets.cli import main
from opengenome_assets.proteins.settings import SAMPLE_FOLDER
from opengenome_assets.service.jobs.store import Jobs
from opengenome_assets.settings import Settings
from opengenome_assets.storage.tables import Home
from opengenome_assets_tests.proteins.runs import Run
from opengenome_assets_tests.search.corpora import fasta, make_corpus
from opengenome_assets_tests.shared import once

PROTEINS = SAMPLE_FOLDER / "escherichia-prot_proteins.fasta"
CORPUS = {"plants/a.fasta": fasta({"oak": "ACGTTGCAAGCTTACGGATTCCA" * 20, "elm": "TTGACCATGACCGGTTAACAGTA" * 20})}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("OPENGENOME_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("OPENGENOME_ENGINE", "processes")
    return tmp_path / "home"


def typed(*arguments: object, ok: bool = True) -> Result:
    result = CliRunner().invoke(main, [str(each) for each in arguments])
    assert (result.exit_code == 0) is ok, result.output
    return result


def sent(*arguments: object) -> dict:
    found: dict = json.loads(typed("submit", *arguments, "--format", "json").stdout)
    return found


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped proteins, as a run of the group makes their tables."""

    def make(folder: Path) -> Path:
        settings = {"source": str(PROTEINS), "sheet": str(SAMPLE_FOLDER / "samples.tsv")}
        Run(Home(str(folder)), settings).materialize("*mutation_calls,*mutation_status", checks=False)
        return folder

    return once(tmp_path_factory, "job_proteins", make)


@pytest.mark.slow
def test_a_job_of_proteins_gives_the_rows_of_the_assets(home, made, tmp_path):
    job = sent("proteins", PROTEINS, "--organism", "Escherichia")
    assert (job["state"], job["units"], job["unit"], job["notes"]) == ("done", 17, "protein", [])
    for name in ("mutation_calls", "mutation_status", "novel_substitutions", "substitutions", "protein_alignments"):
        output = tmp_path / f"{name}.parquet"
        typed("results", job["id"][:10], "--table", name, "--format", "parquet", "--output", output)
        expected = Home(str(made)).table(name).read().to_pylist()
        assert sorted(pq.read_table(output).to_pylist(), key=repr) == sorted(expected, key=repr), name
    rows = json.loads(typed("results", job["id"], "--format", "json").stdout)
    assert [row["symbol"] for row in rows] == ["nfsA_K141STOP", "nfsA_R15C", "pmrB_C84R"]
    assert typed("results", job["id"], "--format", "hamronization").stdout.count("\n") == 4
    assert "job" in typed("status", job["id"]).stdout
    assert typed("status", job["id"], "--follow").stdout.count("done") == 1
    assert f"{job['id'][:12]}  proteins  done  17 proteins" in typed("status").stdout
    assert sent("proteins", PROTEINS, "--organism", "Escherichia")["ended"] == job["ended"]  # it is not done again
    assert "expected one of json, ndjson" in typed("results", job["id"], "--format", "xls", ok=False).output
    assert "is done: there is nothing to cancel" in typed("cancel", job["id"], ok=False).output


@pytest.mark.slow
def test_contigs_a_sheet_and_an_own_catalogue_are_taken_in_one_job(home):
    catalogue = Path(groups.__file__).parent / "proteins" / "catalogue_files"
    job = sent(
        *("proteins", SAMPLE_FOLDER / "campylobacter-dna.fna", PROTEINS, "--sheet", SAMPLE_FOLDER / "samples.tsv"),
        *("--catalogue", catalogue / "mutations.tsv", "--catalogue", catalogue / "references.fasta"),
    )
    assert (job["state"], job["notes"]) == ("done", ["The sheet names accessions without a file: escherichia-dna"])
    rows = json.loads(typed("results", job["id"], "--table", "mutation_status", "--format", "json").stdout)
    assert {row["organism"] for row in rows} == {"Campylobacter", "Escherichia"}
    assert "gyrA" in {row["gene"] for row in rows if row["outcome"] == "mutated"}


def jobs_of(home: Path) -> Jobs:
    return Jobs(Settings(home=str(home)), groups.job_kinds())


@pytest.mark.parametrize(
    ("name", "text", "options", "said"),
    [
        ("a_proteins.fasta", "", [], "a_proteins.fasta"),
        ("a_proteins.fasta", "no fasta\n", [], "a_proteins.fasta"),
        ("a_proteins.fasta", ">x\nMK1\n", [], "a_proteins.fasta, record 1, line 1: illegal letter '1' at position 3"),
        (
            "a_proteins.fasta",
            ">x\n\n>y\nMKV\n",
            [],
            "1 of 2 records cannot be used, more than 10%: mend or remove them",
        ),
        ("a.txt", ">x\nMKV\n", [], "a.txt: expected a name that ends in .fa, .fasta"),
        ("a.tar.gz", ">x\nMKV\n", [], "a.tar.gz: expected FASTA, found an archive. Send each of its files"),
        ("a b.faa", ">x\nMKV\n", [], "expected a file name of up to 200 letters"),
        ("a.faa.gz", "no gzip", [], "a.faa.gz"),
        ("a.faa", ">x\nMKV\n", ["--organism", "Homo"], "organism: expected one of the catalogue's"),
        ("a.faa", ">x\nMKV\n", ["--genetic-code", "99"], "genetic_code: expected a number of NCBI's genetic codes"),
        ("a.faa", ">x\nMKV\n", ["--levels", "HIGH=2"], "levels: found 'HIGH=2': expected the least identity"),
    ],
)
def test_proteins_that_cannot_be_used_are_refused_with_where_and_why(home, tmp_path, name, text, options, said):
    (tmp_path / name).write_text(text)
    result = typed("submit", "proteins", tmp_path / name, *options, ok=False)
    assert said in result.output
    assert str(home) not in result.output  # nobody needs to know where it lies
    assert jobs_of(home).all() == []


def test_a_sheet_and_a_catalogue_that_cannot_be_used_are_refused(home, tmp_path):
    (tmp_path / "a.faa").write_text(">x\nMKV\n")
    (tmp_path / "sheet.tsv").write_text("name\nb\n")
    result = typed("submit", "proteins", tmp_path / "a.faa", "--sheet", tmp_path / "sheet.tsv", ok=False)
    assert "sheet.tsv, line 1: expected the columns accession, organism" in result.output
    result = typed("submit", "proteins", tmp_path / "a.faa", "--catalogue", tmp_path / "sheet.tsv", ok=False)
    assert "expected two files of a catalogue" in result.output


def test_two_files_of_one_accession_or_name_are_refused(home, tmp_path):
    for name in ("a.faa", "a_proteins.fasta", "b/a.faa"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(">x\nMKV\n")
    result = typed("submit", "proteins", tmp_path / "a.faa", tmp_path / "a_proteins.fasta", ok=False)
    assert "a.faa and a_proteins.fasta are both the proteins of the accession a" in result.output
    result = typed("submit", "proteins", tmp_path / "a.faa", tmp_path / "b" / "a.faa", ok=False)
    assert "have the same name: rename one of them" in result.output


@pytest.mark.slow
def test_a_large_job_waits_for_a_daemon_or_is_done_here_and_without_an_organism_it_says_what_is_left_out(
    home, tmp_path
):
    records = [
        f">p{number}\n{'MKTAYIAKQRQISFVKSHFSRQ'}{'ACDEFGHIKLMNPQRSTVWY'[number % 20]}\n" for number in range(2001)
    ]
    (tmp_path / "many.faa").write_text("".join(records))
    job = sent("proteins", tmp_path / "many.faa")
    assert (job["state"], job["place"], job["units"]) == ("waiting", 1, 2001)
    assert job["notes"][0].startswith("No organism is named for many, so no mutation is called there. Send a sheet")
    assert "waiting, place 1" in typed("status", job["id"]).stdout
    assert "it has no results yet" in typed("results", job["id"], ok=False).output
    assert "cancelled" in typed("cancel", job["id"]).stdout
    assert typed("status", job["id"], "--follow", ok=False).exit_code == 1
    assert sent("proteins", tmp_path / "many.faa", "--wait")["state"] == "done"
    (row,) = json.loads(typed("results", job["id"], "--table", "mutation_status", "--format", "json").stdout)
    assert row["outcome"] == "organism_unknown"


@pytest.mark.slow
def test_a_job_of_queries_searches_the_version_that_was_the_newest_when_it_was_sent(home, tmp_path):
    make_corpus(home, CORPUS)
    query = tmp_path / "mine.fasta"
    query.write_text(">mine\nACGTTGCAAGCTTACGGATTCCAACGTTGCAAGC\n")
    make_corpus(home, {**CORPUS, "more/b.fasta": fasta({"birch": "ACGTTGCAAGCTTACGGATTCCA" * 3})})
    job = sent("queries", query, "--top-n", 2)
    rows = json.loads(typed("results", job["id"], "--format", "json").stdout)
    searched = typed("search", "similar", "--query", query, "--top-n", 2, "--format", "json").stdout
    hits = json.loads(searched)["hits"]
    assert [(row["seq_id"], row["similarity"]) for row in rows] == [(hit["seq_id"], hit["similarity"]) for hit in hits]
    make_corpus(home, CORPUS)
    again = sent("queries", query, "--top-n", 2)
    assert again["id"] != job["id"]  # another corpus, other results
    query.write_text(f">odd\nACGT!\n{query.read_text()}")
    mixed = sent("queries", query, "--top-n", 2)
    assert (mixed["units"], mixed["notes"]) == (
        1,
        [
            "Not searched: mine.fasta, record 1, line 1: query odd: illegal letter '!' at base 5 (line 2); expected "
            "IUPAC DNA letters ACGTRYSWKMBDHVN"
        ],
    )
    rows = json.loads(typed("results", mixed["id"], "--format", "json").stdout)
    assert {(row["query"], row["query_number"]) for row in rows} == {("mine", 2)}


def test_queries_that_cannot_be_used_are_refused(home, tmp_path):
    (tmp_path / "q.fasta").write_text(">a\nACGT!\n")
    result = typed("submit", "queries", tmp_path / "q.fasta", ok=False)
    assert "there is nothing to search yet: the table tfidf_index has not been made" in result.output
    make_corpus(home, CORPUS)
    assert "q.fasta" in typed("submit", "queries", tmp_path / "q.fasta", ok=False).output
    (tmp_path / "q.fasta").write_text(">a\nACGTACGTACGT\n")
    result = typed("submit", "queries", tmp_path / "q.fasta", "--source", "moss", ok=False)
    assert "source: expected one of plants; found 'moss'" in result.output


def test_commands_of_jobs_refuse_what_they_do_not_know(home):
    assert "no jobs. Send one with" in typed("status").stdout
    for command in ("status", "results", "cancel"):
        assert f"there is no job {'0' * 12}" in typed(command, "0" * 12, ok=False).output
    assert "--follow needs the ID of a job" in typed("status", "--follow", ok=False).output


def test_commands_say_that_a_server_cannot_be_reached(tmp_path):
    (tmp_path / "a.faa").write_text(">x\nMKV\n")
    for command in (
        ("submit", "proteins", tmp_path / "a.faa"),
        ("status",),
        ("results", "0" * 12),
        ("cancel", "0" * 12),
    ):
        result = typed(*command, "--server", "http://127.0.0.1:9", ok=False)
        assert "http://127.0.0.1:9 cannot be reached" in result.output
        assert "Check the address, and that the server runs" in result.output
