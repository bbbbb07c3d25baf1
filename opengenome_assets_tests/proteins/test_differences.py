"""Why calls differ between two versions: every cause, and that nothing is aligned for entries alone."""

from pathlib import Path

import pytest

from opengenome_assets.proteins.differences import CAUSES, call_changes
from opengenome_assets.proteins.settings import LEVELS
from opengenome_assets.storage.tables import Home
from opengenome_assets_tests.proteins.runs import Run, fasta, folder, said

pytestmark = pytest.mark.slow

WILD = "MKTAYIAKQRQISFVKSHFSRQLEERLGLIEVQAPILSRVGDGTQDNLSGAEKAVQVKVKALPDAQFEVVHSLAKWKR"
MUTANT = WILD[:16] + "L" + WILD[17:]
HEADER = "gene\tposition\tref\talt\torganism\tsymbol\n"
ENTRY = "x\t17\tS\tL\tEscherichia\tx_S17L\n"


def test_each_cause_is_named(tmp_path: Path) -> None:
    """A step changes one thing; the calls of the version after it are compared with those before."""
    source, own = tmp_path / "in", tmp_path / "own"
    sheet = "accession\torganism\na\tEscherichia\nb\tEscherichia\n"
    other = {"y": WILD[::-1]}
    folder(source, {"a_proteins.fasta": fasta({"p": MUTANT}), "b_proteins.fasta": fasta({"q": WILD}), "s.tsv": sheet})
    folder(own, {"m.tsv": HEADER + ENTRY, "r.fasta": fasta({"x": WILD} | other)})
    settings = {"source": str(source), "sheet": f"{source}/s.tsv", "catalogue": f"{own}/m.tsv,{own}/r.fasta"}
    run = Run(Home(str(tmp_path / "home")), settings)
    run.materialize("*mutation_calls", checks=False)
    seen: set[str] = set()

    def step(text: str, change: str, cause: str, **config: dict[str, object]) -> str:
        before = run.home.table("mutation_calls").at().version
        result = run.materialize("*mutation_calls", checks=False, **config)
        (found,) = call_changes(run.home, before, run.home.table("mutation_calls").at().version)
        assert (found.change, found.cause, found.accession) == (change, cause, "b" if "b" in text else "a"), found
        back = call_changes(run.home, run.home.table("mutation_calls").at().version, before)
        assert {each.change for each in back} == {{"gained": "lost", "lost": "gained"}.get(change, change)}
        seen.add(found.cause)
        if cause.startswith("entry"):
            told = said(result, "protein_alignments")
            assert told["batches_reused"] == told["batches"]
        return found.reason

    def entries(*lines: str) -> None:
        folder(own, {"m.tsv": HEADER + "".join(lines)})

    entries(ENTRY.replace("x_S17L", "x_Ser17Leu"))
    assert "x_S17L" not in step("", "renamed", "entry renamed")
    entries(ENTRY.replace("x_S17L", "x_Ser17Leu").replace("\tL\t", "\tW\t"))
    assert "S17W" in step("", "lost", "entry changed")
    entries(ENTRY)
    step("", "gained", "entry added")
    entries("x\t19\tF\tW\tEscherichia\tx_F19W\n")
    step("", "lost", "entry removed")
    entries(ENTRY, "y\t5\tK\tL\tEscherichia\ty_K5L\n")
    step("", "gained", "entry added")
    folder(source, {"b_proteins.fasta": fasta({"q": MUTANT})})
    step("b", "gained", "protein changed")
    folder(source, {"s.tsv": sheet.replace("b\tEscherichia", "b\tHomo")})
    step("b", "lost", "organism changed")
    (source / "b_proteins.fasta").unlink()
    folder(source, {"c_proteins.fasta": fasta({"p": WILD})})
    run.settings["levels"] = tuple((name, 1.0, 1.0, score) for name, _, _, score in LEVELS)
    assert "OPENGENOME_PROTEIN_LEVELS" in step("", "level", "settings changed")
    folder(source, {"a_proteins.fasta": fasta({"z": WILD})})
    step("", "lost", "protein removed")
    folder(source, {"a_proteins.fasta": fasta({"p": MUTANT})})
    step("", "gained", "protein added")
    folder(own, {"r.fasta": fasta({"x": WILD[:-1] + "K"} | other)})
    run.materialize("*mutation_calls", checks=False)
    entries("y\t5\tK\tL\tEscherichia\ty_K5L\n")
    step("", "lost", "reference removed")
    entries(ENTRY)
    step("", "gained", "reference added")
    (source / "a_proteins.fasta").unlink()
    step("", "lost", "accession removed")
    folder(source, {"a_proteins.fasta": fasta({"p": MUTANT})})
    step("", "gained", "accession added")
    assert seen == {*CAUSES} - {"reference changed", "other"}
