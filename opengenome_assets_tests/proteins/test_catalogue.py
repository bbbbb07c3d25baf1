"""Catalogues: the one shipped, own ones, and entries that are refused by name."""

from pathlib import Path

import pytest

from opengenome_assets.proteins import CatalogueError, call, read_catalogue

WILD = ">gyrX a wild type\nMKWHPSDYTRHLLVAGMKWHPSDYTRHLLVAGAARND*\n"


def own(folder: Path, rows: str, fasta: str = WILD) -> tuple[Path, Path]:
    (folder / "own.tsv").write_text("gene\tposition\tref\talt\n" + rows)
    (folder / "own.fasta").write_text(fasta)
    return folder / "own.tsv", folder / "own.fasta"


def test_the_shipped_catalogue_is_whole() -> None:
    catalogue = read_catalogue()
    assert (len(catalogue.mutations), len(catalogue.references), catalogue.rejected) == (1397, 246, ())
    assert sum(entry.position != entry.numbering for entry in catalogue.mutations) == 28


def test_an_own_catalogue_is_called(tmp_path: Path) -> None:
    catalogue = read_catalogue(*own(tmp_path, "gyrX\t6\tS\tL\ngyrX\t9\tTR\tdel\ngyrX\t33\tA\tAGA\n"))
    assert [(entry.symbol, entry.kind) for entry in catalogue.mutations] == [
        ("gyrX_S6L", "substitution"),
        ("gyrX_TR9del", "deletion"),
        ("gyrX_A33AGA", "insertion"),
    ]
    found = call({"a": "MKWHPLDYHLLVAGMKWHPSDYTRHLLVAGAGAARND"}, catalogue)["a"]
    assert [each.mutation.symbol for each in found.calls] == ["gyrX_S6L", "gyrX_TR9del", "gyrX_A33AGA"]


def test_entries_that_cannot_be_used_are_named_and_cost_only_themselves(tmp_path: Path) -> None:
    entries = "X6AL X6SL X6SL Y6SL XxSL X6S? X6SS X99SL X0SL"
    rows = "".join(f"gyr{entry[0]}\t{entry[1:-2]}\t{entry[-2]}\t{entry[-1]}\n" for entry in entries.split())
    catalogue = read_catalogue(*own(tmp_path, rows))
    assert [entry.line for entry in catalogue.mutations] == [3]
    assert [(entry.line, entry.reason) for entry in catalogue.rejected] == [
        (2, "The reference has S at 6, not A."),
        (4, "It is the entry of line 3 again."),
        (5, "There is no reference 'gyrY' in the FASTA file."),
        (6, "Expected letters of the reference and a position, as S83L."),
        (7, "'?' is no allele: letters, del, STOP or an fsTer."),
        (8, "It changes nothing, or its stop stands before its change."),
        (9, "The reference has nothing at 99, not S."),
        (10, "The reference has nothing at 0, not S."),
    ]


@pytest.mark.parametrize(
    ("fasta", "message"),
    [
        (WILD + WILD, "line 3: gyrX is there a second time"),
        ("MKW\n", "must begin with '>'"),
        (">a\nMK1\n", "'1' at position 3"),
    ],
)
def test_references_that_cannot_be_read_are_an_error(tmp_path: Path, fasta: str, message: str) -> None:
    with pytest.raises(CatalogueError, match=message):
        read_catalogue(*own(tmp_path, "", fasta))


def test_other_columns_are_an_error(tmp_path: Path) -> None:
    table, fasta = own(tmp_path, "")
    table.write_text("gene\tpos\n")
    with pytest.raises(CatalogueError, match="no column position, ref, alt"):
        read_catalogue(table, fasta)


def test_another_content_is_another_version(tmp_path: Path) -> None:
    first = read_catalogue(*own(tmp_path, "gyrX\t6\tS\tL\n")).version
    assert read_catalogue(*own(tmp_path, "gyrX\t6\tS\tA\n")).version != first
