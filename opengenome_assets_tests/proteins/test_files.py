"""Names of files, sample sheets, headers and settings."""

from pathlib import Path

import pytest

from opengenome_assets.proteins.files import SheetError, accession_and_kind, find_sheet, organism_in, read_sheet
from opengenome_assets.proteins.headers import Stated, read_header
from opengenome_assets.proteins.settings import LEVELS, ProteinsSettings, level_of
from opengenome_assets.settings import SettingsError


@pytest.mark.parametrize(
    ("path", "accession", "kind"),
    [
        ("x/GCF_1.1_proteins.fasta", "GCF_1.1", "proteins"),
        ("GCF_1.1_proteins.fa.gz", "GCF_1.1", "proteins"),
        ("GCF_1.1.FAA", "GCF_1.1", "proteins"),
        ("a b:c.fna.zst", "a b:c", "contigs"),
        ("_proteins.fasta", "_proteins", "contigs"),
    ],
)
def test_the_name_gives_accession_and_kind(path: str, accession: str, kind: str) -> None:
    assert accession_and_kind(path) == (accession, kind)


@pytest.mark.parametrize(
    ("header", "stated"),
    [
        ("GCF_1|gyrA|10-99|-|c 4|0123", Stated("gyrA", "c 4", 10, 99, -1)),
        ("c_1_7 # 551 # 1618 # -1 # ID=1_7;partial=01;x", Stated("", "c_1", 551, 1618, -1, True, False)),
        ("c_1_7 # 551 # 1618 # 1 # ID=1_7;partial=01;x", Stated("", "c_1", 551, 1618, 1, False, True)),
        ("WP_1.1 DNA gyrase [Escherichia coli]", Stated()),
        (
            "lcl|NC_1.1_prot_NP_2.1_3 [gene=parC] [location=<4..>90] [gbkey=CDS]",
            Stated("parC", "NC_1.1", 4, 90, 1, True, True),
        ),
        (
            "lcl|NC_1.1_prot_3 [gene=a] [location=complement(join(4..9,12..>90))]",
            Stated("a", "NC_1.1", 4, 90, -1, True, False),
        ),
        ("LOCUS_00001 hypothetical protein", Stated()),
    ],
)
def test_headers_of_every_dialect(header: str, stated: Stated) -> None:
    assert read_header(header) == stated


def test_a_sheet_beside_the_files_is_found_and_two_are_refused(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in "abc"]
    for each in folders:
        each.mkdir()
    assert find_sheet("", str(folders[0])) is None
    (folders[0] / "samples.tsv").write_text("accession\torganism\ngenetic\tE\n")
    assert find_sheet("", f"{folders[0]},{folders[1]}") == folders[0] / "samples.tsv"
    (folders[1] / "samples.tsv").write_text("accession\torganism\n")
    with pytest.raises(SheetError, match="both a sample sheet"):
        find_sheet("", f"{folders[0]},{folders[1]}")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "line 1: expected the columns"),
        ("accession\tspecies\n", "line 1: expected the columns"),
        ("accession\torganism\na\n", "line 2: expected 2 values"),
        ("accession\torganism\na\tE\na\tE\n", "line 3: expected an accession that no other line has"),
        ("accession\torganism\tgenetic_code\na\tE\t7\n", "line 2: genetic_code is '7'"),
    ],
)
def test_a_sheet_that_cannot_be_used_names_the_line(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "samples.tsv"
    path.write_text(text)
    with pytest.raises(SheetError, match=words):
        read_sheet(path)


def test_organisms_are_found_by_species_and_genus() -> None:
    known = ("Escherichia", "Staphylococcus_aureus")
    assert organism_in("Escherichia coli O157", known) == "Escherichia"
    assert organism_in("Staphylococcus_aureus", known) == "Staphylococcus_aureus"
    assert organism_in("Staphylococcus aureus subsp. aureus", known) == "Staphylococcus_aureus"
    assert organism_in("Staphylococcus epidermidis", known) is None
    assert organism_in("", known) is None


def test_levels_are_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    section = ProteinsSettings.from_environment(
        {"OPENGENOME_PROTEIN_LEVELS": "HIGH=0.9/0.8/1,MEDIUM=0.8/0.7/0,LOW=0/0/-9"}
    )
    assert section.levels[0] == ("HIGH", 0.9, 0.8, 1.0)
    assert (
        ProteinsSettings.from_environment({"OPENGENOME_PROTEIN_LEVELS": section.show("levels")}).levels
        == section.levels
    )
    assert level_of(LEVELS, 0.95, 0.9, 0.8) == "HIGH"
    assert level_of(LEVELS, 0.95, 0.89, 0.8) == "MEDIUM"
    assert level_of(LEVELS, 0.59, 1, 5) == "FAILED"


@pytest.mark.parametrize(
    "text",
    [
        "HIGH=1/1/1",
        "HIGH=0.5/0/0,MEDIUM=0.8/0/0,LOW=0/0/0",
        "A=1/1/1,B=1/1/1,C=1/1/1",
        "HIGH=9/0/0,MEDIUM=0/0/0,LOW=0/0/0",
        "x",
    ],
)
def test_levels_that_cannot_be_used_are_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="OPENGENOME_PROTEIN_LEVELS is"):
        ProteinsSettings.from_environment({"OPENGENOME_PROTEIN_LEVELS": text})
