"""The sample as people and programs get it: calls, commands, files for other programs, figures and the report."""

import contextlib
import csv
import io
import json
import re
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from Bio.Seq import Seq
from click.testing import CliRunner
from playwright.sync_api import Browser

from opengenome_assets.cli import main
from opengenome_assets.plots.report_page import Illustration
from opengenome_assets.proteins.catalogue import SHIPPED
from opengenome_assets.proteins.differences import NO_EARLIER
from opengenome_assets.proteins.findings import findings
from opengenome_assets.proteins.manifest import robust_z
from opengenome_assets.proteins.plots import report_sections
from opengenome_assets.proteins.plots.mutations import call_changes, wilson
from opengenome_assets.proteins.settings import SAMPLE_FOLDER
from opengenome_assets.storage.tables import Home
from opengenome_assets_tests.plots.wide import wider
from opengenome_assets_tests.proteins.runs import Run, failed_checks, folder

DATA = Path(__file__).parent / "amrfinder"


pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The sample, first with a catalogue in which an entry is missing and another has another name."""
    path = tmp_path_factory.mktemp("sample")
    lines = (SHIPPED / "mutations.tsv").read_text().replace("nfsA_R15C", "nfsB_R15C").splitlines()
    files = {"m.tsv": "\n".join(line for line in lines if "pmrB_C84R" not in line) + "\n"}
    files["r.fasta"] = (SHIPPED / "references.fasta").read_text()
    own = folder(path / "catalogue", files)
    home = Home(str(path / "home"))
    Run(home, {"catalogue": f"{own}/m.tsv,{own}/r.fasta"}).materialize("*mutation_calls", checks=False)
    run = Run(home)
    assert failed_checks(run.materialize("*")) == {}
    return run


@pytest.fixture
def command(shipped: Run, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Run ``opengenome proteins`` on the sample."""
    monkeypatch.setenv("OPENGENOME_HOME", shipped.home.uri)

    def run(*arguments: str, code: int = 0) -> str:
        result = CliRunner().invoke(main, ["proteins", *arguments], catch_exceptions=False)
        assert result.exit_code == code, result.output
        return result.output

    return run


def test_the_sample_gives_the_rows_that_amrfinderplus_expects(shipped: Run) -> None:
    """Every POINT row, and none besides: of proteins, of promoters and of 23S."""
    for accession, file in (("escherichia-dna", "test_dna.expected"), ("escherichia-prot", "test_prot.expected")):
        with (DATA / file).open() as text:
            rows = [row for row in csv.DictReader(text, delimiter="\t") if row["Subtype"] == "POINT"]
        wanted = [row["Element symbol"].replace("STOP", "Ter") for row in rows]
        calls = [row for row in shipped.rows("mutation_calls") if row["accession"] == accession]
        assert len(wanted) == {"test_dna.expected": 9, "test_prot.expected": 2}[file]
        # The protein ends there too; NCBI's run of nucleotides expects it.
        extra = ["nfsA_K141Ter"] if file == "test_prot.expected" else []
        assert sorted(row["symbol"].replace("STOP", "Ter") for row in calls) == sorted([*wanted, *extra])
    found = {row["symbol"] for row in shipped.rows("mutation_calls") if row["accession"] == "campylobacter-dna"}
    assert found == {"gyrA_T86I", "rplV_A103V", "23S_A2075G"}  # as the headers of those records say


def test_a_call_in_contigs_says_which_bases(shipped: Run) -> None:
    """Codons and bases are those of the file, on the strand of the gene."""
    text = (SAMPLE_FOLDER / "escherichia-dna.fna").read_text() + (SAMPLE_FOLDER / "campylobacter-dna.fna").read_text()
    records = [record.partition("\n") for record in re.split("^>", text, flags=re.M)[1:]]
    contigs = {header.split()[0]: "".join(letters.split()).upper() for header, _, letters in records}
    found = {}
    for row in shipped.rows("mutation_calls"):
        if row["contig"]:
            bases = contigs[row["contig"]][row["contig_start"] - 1 : row["contig_end"]]
            found[row["symbol"]] = str(Seq(bases) if row["strand"] == 1 else Seq(bases).reverse_complement())
            if row["molecule"] == "protein":
                assert row["nucleotide_change"].endswith(f"delins{found[row['symbol']]}")
                assert str(Seq(found[row["symbol"]]).translate()) == row["alt_aa"]
                place = 3 * row["position"]
                assert row["nucleotide_change"].startswith(f"c.{place - 2}_{place}")
    assert found["23S_A2058T"] == "T"
    assert found["23S_A2075G"] == "G"
    assert found["blaTEMp_G162T"] == "T"
    assert found["ampC_T-14TGT"] in ("GT", "TG")
    names = {row["symbol"]: row["nucleotide_change"] for row in shipped.rows("mutation_calls")}
    assert names["23S_A2058T"] == "n.2058A>T"
    assert names["ampC_T-14TGT"] == "n.40_41insGT"
    assert names["nfsA_K141STOP"] in ("c.421_423delinsTAA", "")


def test_genes_of_dna_have_a_status_and_say_in_how_many_copies(shipped: Run) -> None:
    rows = {(row["accession"], row["gene"]): row for row in shipped.rows("mutation_status") if row["molecule"] == "dna"}
    assert rows["escherichia-dna", "23S"]["reason"] == "23S_A2058T. 1 of 2 copies."
    assert rows["escherichia-dna", "16S_rrsB"]["outcome"] == "absent"
    assert rows["escherichia-prot", "23S"]["outcome"] == "no_contigs"
    (broken,) = shipped.rows("disruptions")
    assert (broken["gene"], broken["kind"], broken["name"]) == ("nfsA", "stop", "p.Lys141Ter")


def test_show_prints_the_alignment_with_its_calls(command: Callable[..., str]) -> None:
    text = command("show", "campylobacter-dna", "gyrA")
    assert text.startswith("mutated: gyrA_T86I.")
    assert "known     gyrA_T86I  p.Thr86Ile  QUINOLONE  (residue), at 86 of the reference, contig06:" in text
    above, mark = re.search(r"^(query +61 .*)\n( +\^) gyrA_T86I$", text, re.MULTILINE).groups()
    assert (above[len(mark) - 1], len(mark) - 17) == ("I", 86 - 60)
    assert "level HIGH" in text
    assert "reference      1 M" in text
    text = command("show", "escherichia-dna", "23S")
    assert "23S_A2058T  n.2058A>T  MACROLIDE  (nucleotide), at 2058 of the reference, contig15:2058" in text
    assert text.count("^ 23S_A2058T") == 1
    assert "^ ampC_T-14TGT" in command("show", "escherichia-dna", "ampC")
    assert "^ nfsA_K141STOP" in command("show", "escherichia-dna", "nfsA")  # the protein ends before its letter
    assert command("show", "escherichia-dna", "gyrA").startswith("absent: No protein is alike to WP_")
    assert "no accession 'x'. It has: campylobacter-dna" in command("show", "x", "gyrA", code=1)
    assert "knows no gene 'nothing' of Escherichia" in command("show", "escherichia-dna", "nothing", code=1)


def test_diff_says_what_was_gained_and_renamed_and_why(command: Callable[..., str], shipped: Run) -> None:
    newest = shipped.home.table("mutation_calls").at().version
    changes = json.loads(command("diff", "0", str(newest), "--format", "json"))
    found = {(each["change"], each["accession"], each["before"], each["after"]) for each in changes}
    accessions = ("escherichia-dna", "escherichia-prot")
    dna = {
        ("gained", row["accession"], "", row["symbol"])
        for row in shipped.rows("mutation_calls")
        if row["molecule"] == "dna"
    }
    assert len(dna) == 4
    assert found == dna | {
        *(("gained", accession, "", "pmrB_C84R") for accession in accessions),
        *(("renamed", accession, "nfsB_R15C", "nfsA_R15C") for accession in accessions),
    }
    assert {each["reason"] for each in changes if each["after"] == "pmrB_C84R"} == {
        "The catalogue of version 0 does not have the entry yet."
    }
    assert "lost" in command("diff", str(newest), "0")
    assert command("diff", "0", "0") == "no call differs\n"


def test_opengenome_diff_says_why_beside_the_rows(shipped: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENGENOME_HOME", shipped.home.uri)
    arguments = ["diff", "mutation_calls", "0", str(shipped.home.table("mutation_calls").at().version)]
    text = CliRunner().invoke(main, arguments, catch_exceptions=False).output
    assert "The catalogue names the entry nfsA_R15C now." in text
    found = json.loads(CliRunner().invoke(main, [*arguments, "--format", "json"], catch_exceptions=False).output)
    causes = {(each["change"], each["cause"]) for each in found["why"]}
    assert {("gained", "entry added"), ("renamed", "entry renamed"), ("gained", "reference added")} == causes


def test_every_line_of_the_tutorial_runs(
    shipped: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, page: str
) -> None:
    """Commands print what the page shows, and its Python prints what it shows. The run itself is that of the sample."""
    monkeypatch.setenv("OPENGENOME_HOME", shipped.home.uri)
    blocks = re.findall(r"```(\w*)\n(.*?)```", page, flags=re.S)
    lines = [line for kind, text in blocks if kind == "bash" for line in text.replace("\\\n", "").splitlines()]
    made = [line for line in lines if not line.startswith("opengenome ")]
    (sheet,) = (line for line in made if line.startswith("printf"))
    assert made == [
        "mkdir assemblies",
        "cp opengenome_assets/proteins/sample/*.fna assemblies",
        sheet,
        "OPENGENOME_PROTEINS=assemblies opengenome run --select 'group:proteins'",
    ]
    printed = {}
    monkeypatch.chdir(tmp_path)
    (tmp_path / "assemblies").mkdir()
    subprocess.run(["sh", "-ec", sheet], check=True)
    rows = [line.split("\t") for line in (tmp_path / "assemblies" / "samples.tsv").read_text().splitlines()]
    shipped_rows = [line.split("\t") for line in (SAMPLE_FOLDER / "samples.tsv").read_text().splitlines()]
    assert all(row in shipped_rows for row in rows)
    for line in lines:
        if line.startswith("opengenome "):
            result = CliRunner().invoke(main, shlex.split(line)[1:], catch_exceptions=False)
            assert result.exit_code == 0, (line, result.output)
            printed[line] = result.output
    assert len(printed) == 11
    shown = next(text for kind, text in blocks if not kind and text.startswith("mutated: gyrA"))
    for line in shown.replace("…", "").splitlines():
        assert line.strip() in printed["opengenome proteins show campylobacter-dna gyrA"]
    names: dict[str, object] = {}
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        for kind, text in blocks:
            if kind == "python":
                exec(text, names)
    assert next(text for kind, text in blocks if not kind and text.startswith("reference ")) in output.getvalue()


@pytest.fixture
def page() -> str:
    """docs/proteins.md."""
    return (Path(__file__).parents[2] / "docs" / "proteins.md").read_text()


def test_exports_are_complete(command: Callable[..., str], shipped: Run, tmp_path: Path) -> None:
    for form in ("subscan", "manifests", "alignments"):
        command("export", form, str(tmp_path))
    with (tmp_path / "subscan.tsv").open() as text:
        rows = list(csv.DictReader(text, delimiter="\t"))
    known = {
        (row["gene_name"], row["position"], row["variant_aa"])
        for row in rows
        if row["clinical_significance"] != "unknown"
    }
    assert known == {
        *(("gyrA", "86", "I"), ("rplV", "103", "V"), ("pmrB", "84", "R"), ("nfsA", "15", "C")),
        *(("23S", "2234", "G"), ("23S", "2058", "T"), ("blaTEM", "162", "T"), ("ampC", "40", "TGT")),
    }
    manifest = json.loads((tmp_path / "escherichia-dna.json").read_text())
    assert manifest["calls"] == len(manifest["mutation_calls"]) == 9
    assert len(manifest["mutation_status"]) == manifest["catalogue_genes"]
    assert manifest["alignment"]["matrix"] == "BLOSUM62"
    assert manifest["levels"][0][0] == "HIGH"
    text = (tmp_path / "alignments.txt").read_text()
    assert text.count("SHA-256") == len(shipped.rows("assigned_proteins"))
    assert "contig15:1-2905, strand +1: 23S (DNA), NC_004431.1:237160-240064" in text


def test_hamronization_reads_the_export_as_its_own(
    command: Callable[..., str], shipped: Run, tmp_path: Path, tool: Callable[[str], str]
) -> None:
    program = Path(tool("hamronize"))
    for form in ("tsv", "json"):
        command("export", f"hamronization-{form}", str(tmp_path))
        arguments = [
            program,
            "summarize",
            "-t",
            "json",
            "-o",
            tmp_path / f"{form}.out",
            tmp_path / f"hamronization.{form}",
        ]
        subprocess.run(arguments, check=True, capture_output=True)
        entries = json.loads((tmp_path / f"{form}.out").read_text())
        found = (entry["amino_acid_mutation"] or entry["nucleotide_mutation"] for entry in entries)
        assert sorted(found) == sorted(row["hgvs"] for row in shipped.rows("mutation_calls"))
    script = (
        "import json, sys; from hAMRonization.hAMRonizedResult import hAMRonizedResult as R\n"
        "for row in json.load(open(sys.argv[1])): R(**row)"
    )
    python = program.read_text().splitlines()[0].removeprefix("#!").strip()
    subprocess.run([python, "-c", script, tmp_path / "hamronization.json"], check=True, capture_output=True)


def test_the_report_says_what_was_found_and_what_was_not_examined(shipped: Run) -> None:
    page = Path(shipped.home.uri, "reports", "proteins_report.html").read_text()
    for words in ("gyrA_T86I", "p.Thr86Ile", "What could not be examined", "not a measured resistance"):
        assert words in page
    assert page.count("<figure>") == 6
    assert "What became of the known mutations" in page
    assert "is left out." not in page


def test_every_table_of_the_report_fits_a_desk(shipped: Run, chromium: Browser) -> None:
    assert wider(chromium, Path(shipped.home.uri, "reports", "proteins_report.html")) == []


def test_the_report_counts_mutations_and_their_calls_by_their_names(shipped: Run) -> None:
    page = Path(shipped.home.uri, "reports", "proteins_report.html").read_text()
    calls = shipped.rows("mutation_calls")
    mutations = len({call["symbol"] for call in calls})
    assert (mutations, len(calls)) == (9, 16)
    assert '<dt>known mutations</dt>\n<dd>9</dd>\n<dd class="note">in 16 calls</dd>' in page
    assert "9 known mutations in 16 calls: each copy of a gene" in page
    assert "<dt>genes with every known site seen</dt>" in page
    (said,) = [each.text for each in findings(shipped.home) if each.subject == "mutations"]
    assert said.startswith("9 known mutations in 16 calls: ")


def test_without_an_earlier_version_a_sentence_stands_for_the_picture() -> None:
    figures = [Illustration("t", "c", alt, b"", "image/png") for alt in ("Most frequent: x.", NO_EARLIER)]
    columns = ["organism", "gene", "symbol", "hgvs", "drug_class", "accession"]
    for rows in ([], [["Escherichia", "gyrA", "gyrA_S83L", "p.Ser83Leu", "QUINOLONE", "a"]]):
        section = report_sections.calls(pd.DataFrame(rows, columns=columns), figures)
        assert section.text.endswith(NO_EARLIER)
        assert [each.alt for each in section.figures] == ["Most frequent: x."]
        assert NO_EARLIER not in report_sections.calls(pd.DataFrame(rows, columns=columns), figures[:1]).text
    empty = call_changes(pd.DataFrame(columns=["change", "name", "cause", "accession"]), "")
    assert empty.alt == NO_EARLIER


def test_wilson_intervals_are_those_of_scipy() -> None:
    from scipy.stats import binomtest

    found, number = np.array([0.0, 1, 5, 10]), np.array([1.0, 3, 10, 10])
    low, high = wilson(found, number, 1.959963984540054)
    for place in range(4):
        given = binomtest(int(found[place]), int(number[place])).proportion_ci(method="wilson")
        assert (low[place], high[place]) == pytest.approx((given.low, given.high), abs=1e-12)


def test_robust_z_by_hand() -> None:
    assert robust_z(np.array([1.0, 2, 3, 4, 100])).tolist() == pytest.approx([-1.349, -0.6745, 0, 0.6745, 65.4265])
    assert robust_z(np.array([2.0, 2, 2, 4])).tolist() == pytest.approx([0, 0, 0, 3.1916])
    assert robust_z(np.ones(3)).tolist() == [0, 0, 0]
