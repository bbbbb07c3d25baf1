"""Jobs of samples: sheets and reads that are sent, or lie where the server may read, and why they are refused."""

import json
import os
import shutil
from pathlib import Path

import pysam
import pytest
from click.testing import CliRunner
from fastapi.testclient import TestClient

from opengenome_assets.cli import main
from opengenome_assets.client import Client
from opengenome_assets.engine.processes import Processes
from opengenome_assets.framework.jobs import RefusedError
from opengenome_assets.service.app import create_app
from opengenome_assets.service.jobs.job import Job
from opengenome_assets.service.jobs.results import MEDIA, read_page, special, written
from opengenome_assets.service.jobs.store import Jobs
from opengenome_assets.service.jobs.work import work_on
from opengenome_assets.service.settings import ServerSettings
from opengenome_assets.settings import Settings
from opengenome_assets.variants import jobs as kind
from opengenome_assets.variants.job_files import OWN_REFERENCE, READS, SHEET, named_by
from opengenome_assets.variants.jobs import KIND
from opengenome_assets.variants.settings import VariantsSettings
from opengenome_assets_tests.search.corpora import fasta, make_corpus
from opengenome_assets_tests.variants.reads import letters, simulate, write_aligned, write_fastq

TEXT = letters(2_000, 3)
CHANGED = f"{TEXT[:999]}{'C' if TEXT[999] != 'C' else 'G'}{TEXT[1000:]}"  # at position 1,000


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Reads with one change, a reference, and a sheet."""
    folder = tmp_path_factory.mktemp("sent")
    for name in ("a", "b"):
        write_fastq(folder, name, list(simulate(CHANGED, f"{name}r", step=8)))
    (folder / "own.fasta").write_text(f">own\n{TEXT}\n")
    sheet(folder)
    return folder


def sheet(folder: Path, *rows: str, header: str = "sample,fastq_1,fastq_2") -> Path:
    path = folder / "samples.csv"
    path.write_text("\n".join([header, *(rows or ["A,a_1.fq.gz,a_2.fq.gz"]), ""]))
    return path


def jobs_in(home: Path, **given: str) -> Jobs:
    settings = Settings(home=str(home)).with_sections([VariantsSettings(**given)])
    return Jobs(settings, {KIND.name: KIND})


def send(jobs: Jobs, path: Path, *others: tuple[str, Path]) -> Job:
    files = [(SHEET, path), *named_by(path), *others]
    return jobs.submit(KIND, [(role, each.name, jobs.inbox.keep(each)) for role, each in files], {})[0]


def faults(jobs: Jobs, *files: tuple[str, Path]) -> str:
    with pytest.raises(RefusedError) as refusal:
        jobs.submit(KIND, [(role, each.name, jobs.inbox.keep(each)) for role, each in files], {})
    text = str(refusal.value)
    assert str(jobs.folder) not in text  # places of the server are nobody's business
    assert jobs.all() == []
    return text


@pytest.fixture(scope="module")
def done(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Job:
    """A job with an own reference, done: the reads of A were sent, those of B lie where the server may read."""
    place = tmp_path_factory.mktemp("done")
    for mate in (1, 2):
        os.link(folder / f"a_{mate}.fq.gz", place / f"a_{mate}.fq.gz")
    jobs = jobs_in(place / "home", read_folders=f"/nowhere, {folder}")
    path = sheet(place, "A,a_1.fq.gz,a_2.fq.gz", f"B,{folder}/b_1.fq.gz,{folder}/b_2.fq.gz")
    job = send(jobs, path, (OWN_REFERENCE, folder / "own.fasta"))
    assert [file.name for file in job.submission.files] == ["samples.csv", "a_1.fq.gz", "a_2.fq.gz", "own.fasta"]
    assert jobs.status(job).state == "waiting"
    assert work_on(jobs, job, Processes(1)) is None
    status = jobs.status(job)
    assert (status.state, status.percent, status.parts_done) == ("done", 100, status.parts_wanted), status.error
    return job


@pytest.mark.long
def test_the_change_is_called_and_every_table_has_every_form(done, tmp_path):
    rows = read_page(done, "genotypes").rows.to_pylist()
    found = [(row["sample"], row["contig"], row["pos"], row["alt"]) for row in rows]
    assert found == [(sample, "own", 1000, CHANGED[999]) for sample in "AB"]
    for table in done.outcome.tables:
        for form in MEDIA:
            assert written(read_page(done, table.name).rows, form)
    media, content = special(done, "vcf")
    assert media == "text/x-vcf"
    (tmp_path / "calls.vcf").write_bytes(content)
    with pysam.VariantFile(str(tmp_path / "calls.vcf")) as file:
        assert list(file.header.samples) == ["A", "B"]
        assert [(record.pos, record.alts) for record in file] == [(1000, (CHANGED[999],))]


@pytest.mark.long
def test_notes_say_what_the_defaults_are(done, folder, tmp_path):
    assert done.submission.notes == [
        "Reads are aligned to own.fasta",
        "ClinVar, gnomAD and gene models are left out: the server has them for its own reference only",
    ]
    default = send(jobs_in(tmp_path / "home"), folder / "samples.csv")
    assert "rCRS" in default.submission.notes[0]
    assert "Send another reference with the role reference" in default.submission.notes[0]


@pytest.mark.long
def test_the_index_of_the_reference_is_shared(done):
    references = done.folder / "references"
    assert references.is_symlink()
    assert len(list(references.resolve().iterdir())) == 1


@pytest.mark.parametrize(
    ("rows", "header", "said"),
    [
        (
            ["A,a_1.fq.gz,missing_2.fq.gz"],
            None,
            "line 2, fastq_2: 'missing_2.fq.gz' was not sent. Send it with the role",
        ),
        (["A,a_1.fq.gz,/etc/passwd"], None, "line 2, fastq_2: expected a name that ends in .fq, .fastq, .bam, .cram"),
        (["A,a_1.fq.gz,/etc/x.fq"], None, "'/etc/x.fq' is not below a folder that the server may read: expected none"),
        (["A,a_1.fq.gz,hf://datasets/a/b/x.fq"], None, "is not below a folder that the server may read"),
        (["A,a_1.fq.gz,a_1.fq.gz"], None, "samples.csv, line 2: fastq_1 and fastq_2 are the same file, a_1.fq.gz"),
        (["A,a_1.fq.gz,"], None, "samples.csv, line 2: fastq_2 is empty"),
        (["A,a_1.fq.gz,a_2.fq.gz"], "sample,fastq_1,fastq_3", "samples.csv, line 1: unknown columns 'fastq_3'"),
        (["A b,a_1.fq.gz,a_2.fq.gz"], None, "line 2: sample is 'A b'"),
        (["A,a_1.fq.gz,b_2.fq.gz"], None, "samples.csv, line 2: record 1, line 1: a_1.fq.gz has the read"),
        (["A,a_1.fq.gz,a_2.fq.gz", "B,cut_1.fq.gz,b_2.fq.gz"], None, "samples.csv, line 3: cut_1.fq.gz"),
        (["A,text_1.fq,a_2.fq.gz"], None, "samples.csv, line 2: text_1.fq"),
        (["A,a_1.fq.gz,../a_2.fq.gz", "A,a_1.fq.gz,a_2.fq.gz"], None, "sample A, lane 1 is on line 2 too"),
    ],
)
def test_sheets_and_reads_that_cannot_be_used_are_refused_at_once(folder, tmp_path, rows, header, said):
    for each in folder.glob("*.gz"):
        os.link(each, tmp_path / each.name)
    content = (folder / "b_1.fq.gz").read_bytes()
    (tmp_path / "cut_1.fq.gz").write_bytes(content[: len(content) // 2])
    (tmp_path / "text_1.fq").write_text("no FASTQ\n")
    path = sheet(tmp_path, *rows, **({"header": header} if header else {}))
    names = {Path(name).name for row in rows for name in row.split(",")[1:] if name.endswith((".gz", ".fq"))}
    sent = [(READS, tmp_path / name) for name in sorted(names) if (tmp_path / name).exists()]
    assert said in faults(jobs_in(tmp_path / "home"), (SHEET, path), *sent)


def test_files_that_are_of_no_use_are_refused(folder, tmp_path):
    jobs = jobs_in(tmp_path / "home")
    sent = [(SHEET, folder / "samples.csv"), *named_by(folder / "samples.csv")]
    assert "b_1.fq.gz: expected a file that the sheet names" in faults(jobs, *sent, (READS, folder / "b_1.fq.gz"))
    copy = shutil.copy(folder / "a_1.fq.gz", tmp_path / "copy_2.fq.gz")
    path = sheet(tmp_path, "A,a_1.fq.gz,copy_2.fq.gz")
    said = faults(jobs, (SHEET, path), (READS, folder / "a_1.fq.gz"), (READS, Path(copy)))
    assert "copy_2.fq.gz holds the same bytes as a_1.fq.gz: its reads would count twice" in said
    assert "expected one sample sheet, found none" in faults(jobs, *sent[1:])
    (tmp_path / "own.fasta").write_text(">own\nACGT1\n")
    assert "own.fasta: contig 1, 'own': letter 5 is '1'" in faults(jobs, *sent, (OWN_REFERENCE, tmp_path / "own.fasta"))
    (tmp_path / "samples.csv").write_bytes(b"\xff\xfe")
    assert "samples.csv: expected CSV in UTF-8" in faults(jobs, (SHEET, tmp_path / "samples.csv"))
    (tmp_path / "cut.bam").write_bytes(b"BAM")
    path = sheet(tmp_path, "A,cut.bam", header="sample,bam")
    assert "line 2: cut.bam: expected a whole BAM" in faults(jobs, (SHEET, path), (READS, tmp_path / "cut.bam"))
    write_aligned(tmp_path / "whole.bam", list(simulate(TEXT, "r", step=40)), ("own", TEXT))
    path = sheet(tmp_path, "A,whole.bam", header="sample,bam")
    assert send(jobs, path).submission.files[1].name == "whole.bam"


def test_only_the_first_pairs_of_a_long_lane_are_looked_at_and_the_note_says_so(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(kind, "FIRST_PAIRS", 5)
    job = send(jobs_in(tmp_path / "home"), folder / "samples.csv")
    assert "The first 5 pairs were looked at; the others are when the work is done: A, lane 1" in job.submission.notes


@pytest.fixture
def readable(folder: Path, tmp_path: Path) -> Path:
    """A folder that the server may read, with a sheet that names files there."""
    readable = tmp_path / "run 7"
    readable.mkdir()
    for mate in (1, 2):
        shutil.copy(folder / f"a_{mate}.fq.gz", readable / f"a_{mate}.fq.gz")
    sheet(tmp_path, f"A,{readable}/a_1.fq.gz,{readable}/a_2.fq.gz")
    return readable


def test_a_file_that_changes_before_it_is_sent_again_is_another_job(tmp_path, readable):
    jobs = jobs_in(tmp_path / "home", read_folders=str(readable))
    first = send(jobs, tmp_path / "samples.csv")
    assert send(jobs, tmp_path / "samples.csv").id == first.id
    (readable / "a_1.fq.gz").touch()
    assert send(jobs, tmp_path / "samples.csv").id != first.id


@pytest.mark.parametrize("what", ["gone", "changed"])
def test_files_that_vanish_or_change_before_the_run_fail_the_job_by_name(folder, tmp_path, readable, what):
    jobs = jobs_in(tmp_path / "home", read_folders=str(readable))
    job = send(jobs, tmp_path / "samples.csv")
    if what == "gone":
        (readable / "a_2.fq.gz").unlink()
    else:
        (readable / "a_2.fq.gz").write_bytes((folder / "b_2.fq.gz").read_bytes())
    assert work_on(jobs, job, Processes(1)) is None
    status = jobs.status(job)
    assert status.state == "failed"
    assert f"{readable}/a_2.fq.gz (sample A, line 2 of the sheet)" in status.error
    assert {"gone": "is gone or cannot be read", "changed": "has changed since it was sent"}[what] in status.error
    assert "end the sheet again" in status.error


def test_a_sent_file_that_vanishes_fails_the_job_by_name(folder, tmp_path):
    jobs = jobs_in(tmp_path / "home")
    job = send(jobs, folder / "samples.csv")
    (job.folder / "files" / READS / "a_2.fq.gz").unlink()
    assert work_on(jobs, job, Processes(1)) is None
    assert jobs.status(job).error == "a_2.fq.gz: gone or changed since it was sent. Send it again"


def test_no_way_leads_out_of_the_folders_that_may_be_read(folder, tmp_path, readable):
    secret = tmp_path / "secret"
    secret.mkdir()
    shutil.copy(folder / "a_1.fq.gz", secret / "a_1.fq.gz")
    (readable / "link.fq.gz").symlink_to(secret / "a_1.fq.gz")
    for name in ("link.fq.gz", "../secret/a_1.fq.gz", "../secret/absent.fq.gz"):
        path = sheet(tmp_path, f"A,{readable}/{name},{readable}/a_2.fq.gz")
        said = faults(jobs_in(tmp_path / "home", read_folders=str(readable)), (SHEET, path))
        assert f"{name}' is not below a folder that the server may read: expected {readable}" in said
    path = sheet(tmp_path, f"A,{readable}/absent.fq.gz,{readable}/a_2.fq.gz")
    said = faults(jobs_in(tmp_path / "home", read_folders=str(readable)), (SHEET, path))
    assert "absent.fq.gz' cannot be read: No such file or directory" in said


def test_a_reference_of_the_corpus_is_the_one_of_the_moment(folder, tmp_path):
    home = tmp_path / "home"
    jobs = jobs_in(home, reference="corpus:own")
    sent = [(SHEET, folder / "samples.csv"), *named_by(folder / "samples.csv")]
    assert "has not been made" in faults(jobs, *sent)
    make_corpus(home, {"a/a.fasta": fasta({"own": TEXT})})
    first = send(jobs, folder / "samples.csv")
    assert (first.folder / "corpus.fasta").read_text() == f">own \n{TEXT}\n"
    make_corpus(home, {"a/a.fasta": fasta({"own": CHANGED})})
    assert send(jobs, folder / "samples.csv").id != first.id


@pytest.mark.parametrize(
    ("name", "role"),
    [("s.CSV", SHEET), ("a_1.fq.gz", READS), ("a.bam", READS), ("own.fa", OWN_REFERENCE), ("x", READS)],
)
def test_a_file_whose_role_is_not_stated_has_that_of_its_ending(name, role):
    assert KIND.role_of(name) == role


def test_the_command_line_and_the_client_send_what_the_sheet_names(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("OPENGENOME_HOME", str(tmp_path / "home"))
    run = CliRunner().invoke
    answer = run(main, ["submit", "sample", str(folder / "samples.csv"), "--format", "json"])
    assert answer.exit_code == 0, answer.output
    job = json.loads(answer.stdout)
    app = create_app(Settings(home=str(tmp_path / "home")), ServerSettings(requests_per_minute=0))
    with TestClient(app, base_url="http://localhost") as http, Client("http://localhost") as client:
        client._http = http
        http.base_url = http.base_url.join("/api/")
        assert client.submit("sample", [folder / "samples.csv"]).id == job["id"]  # the same work
        assert http.get(f"samples/{job['id']}/status").json()["state"] == "waiting"
    (tmp_path / "samples.csv").write_text("sample\nA\n")
    refused = run(main, ["submit", "sample", str(tmp_path / "samples.csv")])
    assert "line 1: columns fastq_1, fastq_2 are missing" in refused.output
    assert "opengenome submit sample" in " ".join(run(main, ["variants", "submit", "--help"]).output.split())
    assert "opengenome variants submit" in " ".join(run(main, ["submit", "sample", "--help"]).output.split())
