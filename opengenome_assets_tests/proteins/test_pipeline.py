"""The assets of proteins, materialised: calls and status, what is made again, and what a wrong table gives."""

import random
from pathlib import Path

import pytest

from opengenome_assets.proteins import Catalogue, call, read_catalogue
from opengenome_assets.proteins.tables import ALIGNMENTS, DISTINCT_PROTEINS, SUBSTITUTIONS
from opengenome_assets.storage.tables import Home
from opengenome_assets_tests.kernels.proteins import random_protein
from opengenome_assets_tests.proteins.runs import Run, changed, failed_checks, failure, fasta, folder, said

GYRA = "gyrA_S83L"

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return read_catalogue()


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory, catalogue: Catalogue) -> Run:
    """Accessions of Escherichia with one copy of gyrA each: every outcome of a gene."""
    path = tmp_path_factory.mktemp("cases")
    wild = wild_type(catalogue, GYRA)
    mutant = wild[:82] + "L" + wild[83:]
    other = random_protein(random.Random(1), len(wild))
    chance = random.Random(2)
    far = "".join(b if chance.random() < 0.27 else a for a, b in zip(wild, other, strict=True))
    copies = {
        "mutated": f">gyrA\n{mutant}*\n",
        "wild_type": f">gyrA some words\n{wild[:300].lower()}\n{wild[300:]}\n",
        "absent": f">x\n{other[:300]}\n",
        "truncated": f">gyrA\n{wild[100:]}\n",
        "edge": f">c_1 # 1 # 150 # 1 # ID=1_1;partial=01\n{wild[:80]}\n",
        "diverged": f">gyrA\n{far}\n",
        "ambiguous": f">gyrA\n{wild[:82]}X{wild[83:]}\n",
        "organism_unknown": f">gyrA\n{mutant}\n",
        "of_another": f">gyrA\n{mutant}\n",
    }
    files = {f"{name}_proteins.fasta": text for name, text in copies.items()}
    sheet = dict.fromkeys(copies, "Escherichia coli") | {"organism_unknown": "", "of_another": "Homo sapiens"}
    files["samples.tsv"] = "accession\torganism\n" + "".join(f"{name}\t{of}\n" for name, of in sheet.items())
    run = Run(Home(str(path / "home")), {"source": folder(path / "in", files)})
    run.materialize()
    return run


def wild_type(catalogue: Catalogue, symbol: str) -> str:
    return next(entry.reference.sequence for entry in catalogue.mutations if entry.symbol == symbol)


def test_each_outcome_has_its_name_and_its_reason(cases: Run) -> None:
    rows = {row["accession"]: row for row in cases.rows("mutation_status") if row["gene"] in ("gyrA", "")}
    expected = {name: name for name in rows} | {"of_another": "organism_unknown"}
    assert {name: row["outcome"] for name, row in rows.items()} == expected
    assert {name for name, row in rows.items() if row["examined"]} == {"mutated", "wild_type"}
    assert rows["mutated"]["reason"] == "gyrA_S83L."
    assert "The protein covers 101 to 878 of 878." in rows["truncated"]["reason"]
    assert "edge of its contig" in rows["edge"]["reason"]
    assert "Homo sapiens" in rows["of_another"]["reason"]
    assert "closest to wild types of Escherichia" in rows["organism_unknown"]["reason"]
    assert [row["accession"] for row in cases.rows("mutation_calls")] == ["mutated"]


def test_every_gene_of_the_organism_has_one_row_an_accession(cases: Run, catalogue: Catalogue) -> None:
    genes = sorted({entry.reference.gene for entry in catalogue.of("Escherichia").mutations})
    for accession in ("mutated", "absent"):
        rows = [row for row in cases.rows("mutation_status") if row["accession"] == accession]
        assert sorted(row["gene"] for row in rows if row["molecule"] == "protein") == genes
        dna = {row["gene"]: row["outcome"] for row in rows if row["molecule"] == "dna"}
        assert dna == dict.fromkeys(("16S_rrsB", "16S_rrsC", "23S", "ampC", "blaTEM"), "no_contigs")


def test_a_call_says_what_it_rests_on(cases: Run) -> None:
    (row,) = cases.rows("mutation_calls")
    assert [row[name] for name in ("short", "hgvs", "position", "numbering")] == ["S83L", "p.Ser83Leu", 83, 83]
    assert (row["evidence"], row["level"], row["drug_class"]) == ("residue", "HIGH", "QUINOLONE")
    assert row["reference_window"] == row["query_window"] == "1-878"
    (file,) = [file for file in cases.rows("protein_files") if file["accession"] == "mutated"]
    assert row["file_sha256"] == file["sha256"]


def test_a_novel_substitution_at_a_known_site_is_listed_and_no_call(tmp_path: Path, catalogue: Catalogue) -> None:
    wild = wild_type(catalogue, GYRA)
    text = fasta({"gyrA": wild[:82] + "H" + wild[83:]})
    run = Run(Home(str(tmp_path / "home")), {"source": folder(tmp_path / "in", {"a_proteins.fasta": text, **SHEET})})
    run.materialize()
    (row,) = run.rows("novel_substitutions")
    assert (row["short"], row["hgvs"]) == ("S83H", "p.Ser83His")
    assert GYRA in row["known"]
    assert run.rows("mutation_calls") == []


SHEET = {"samples.tsv": "accession\torganism\na\tEscherichia\nb\tEscherichia\n"}


@pytest.mark.slow
def test_every_entry_of_the_catalogue_is_called_as_the_library_calls_it(tmp_path: Path, catalogue: Catalogue) -> None:
    """An accession for each organism, with a protein for each entry, put into its reference."""
    files, sheet = {}, "accession\torganism\n"
    for organism in catalogue.organisms:
        entries = [entry for entry in catalogue.of(organism).mutations if entry.mutant()]
        files[f"{organism}_proteins.fasta"] = fasta({str(entry.line): entry.mutant() for entry in entries})
        sheet += f"{organism}\t{organism}\n"
    run = Run(Home(str(tmp_path / "home")), {"source": folder(tmp_path / "in", {**files, "samples.tsv": sheet})})
    assert failed_checks(run.materialize(raw_proteins={"max_rejected_share": 1.0})) == {}
    found: dict[str, set[tuple[str, int, str]]] = {}
    for row in run.rows("mutation_calls"):
        found.setdefault(row["protein_id"], set()).add((row["symbol"], row["position"], row["evidence"]))
    for organism in catalogue.organisms:
        entries = [entry for entry in catalogue.of(organism).mutations if entry.mutant()]
        called = call({str(entry.line): entry.mutant() for entry in entries}, catalogue, organism=organism)
        for name, one in called.items():
            calls = {(each.mutation.symbol, each.mutation.position, each.evidence) for each in one.calls}
            # A fragment of fewer than 20 letters is too little to be kept.
            if one.alignment is not None and one.alignment.columns >= 20:
                assert found.get(name, set()) == calls, name


@pytest.mark.slow
def test_only_what_is_new_is_aligned_and_the_rows_are_those_of_a_fresh_home(
    tmp_path: Path, catalogue: Catalogue
) -> None:
    """One accession more, one less, a new entry, and a new reference."""
    references = {entry.reference.gene: entry.reference for entry in catalogue.of("Escherichia").mutations}
    chosen = [references[gene] for gene in ("gyrA", "parC", "rpoB")]
    rng = random.Random(5)

    def mutants(number: int) -> str:
        records = {}
        for count in range(number):
            for each in chosen:
                letters = list(each.sequence)
                for place in rng.sample(range(len(letters)), count):
                    letters[place] = rng.choice("ACDEFGHIKLMNPQRSTVWY".replace(letters[place], ""))
                records[f"{each.gene}_{count}"] = "".join(letters)
        return fasta(records)

    mutations = "gene\tposition\tref\talt\torganism\ngyrA\t83\tS\tL\tEscherichia\n"
    first = {"a_proteins.fasta": mutants(3), "b_proteins.fasta": mutants(3), **SHEET}
    source = folder(tmp_path / "in", first)
    own = {
        "mutations.tsv": mutations,
        "references.fasta": fasta({each.gene: each.sequence for each in chosen}),
    }
    own_folder = folder(tmp_path / "catalogue", own)
    settings = {"source": source, "catalogue": f"{own_folder}/mutations.tsv,{own_folder}/references.fasta"}
    run = Run(Home(str(tmp_path / "home")), settings)
    assert said(run.materialize(checks=False), "protein_files")["files_left_out"] == []  # the sheet is used
    again = run.materialize(checks=False)
    assert said(again, "raw_proteins")["files_reused"] == 2
    assert said(again, "protein_alignments")["batches_reused"] == said(again, "protein_alignments")["batches"] == 1
    assert said(again, "mutation_calls")["parquet_files_added"] == 0

    folder(tmp_path / "in", {"c_proteins.fasta": mutants(2)})
    more = run.materialize(checks=False)
    assert (said(more, "raw_proteins")["files_reused"], said(more, "distinct_proteins")["new"]) == (2, 3)
    assert (said(more, "protein_alignments")["batches"], said(more, "protein_alignments")["batches_reused"]) == (2, 1)

    folder(tmp_path / "catalogue", {"mutations.tsv": mutations + "gyrA\t87\tD\tN\tEscherichia\n"})
    entry = run.materialize(checks=False)
    assert said(entry, "protein_alignments")["batches_reused"] == 2

    folder(tmp_path / "catalogue", {"mutations.tsv": mutations + "parC\t80\tS\tI\tEscherichia\n"})
    reference = run.materialize(checks=False)
    assert (
        said(reference, "protein_alignments")["references_aligned"],
        said(reference, "protein_alignments")["references"],
    ) == (1, 2)

    (tmp_path / "in" / "a_proteins.fasta").unlink()
    run.materialize(checks=False)
    fresh = Run(Home(str(tmp_path / "fresh")), settings)
    fresh.materialize(checks=False)
    for name in fresh.home.names():
        assert run.rows(name) == fresh.rows(name), name
    assert {row["reference"] for row in run.rows("protein_alignments")} == {"gyrA", "parC"}


def test_a_bad_file_and_bad_records_cost_only_themselves(tmp_path: Path, catalogue: Catalogue) -> None:
    wild = wild_type(catalogue, GYRA)
    bad = {
        "good": wild,
        "dna": "ACGT" * 30,
        "digit": "MKL1V",
        "gap": "MK-LV",
        "": "MKLV",
        "empty": "",
        "stop": "*MKLV",
        "again": "MKLV",
    }
    records = fasta(bad) + ">again\nMKLVV\n>inside stop\nMKLVV*MKL*\n"
    files = {
        "a_proteins.fasta": records,
        "b_proteins.fasta": "no FASTA\n",
        "c_proteins.faa": fasta({"x": wild}),
        **SHEET,
    }
    run = Run(Home(str(tmp_path / "home")), {"source": folder(tmp_path / "in", files)})
    result = run.materialize("*raw_proteins,rejected_proteins", ok=False)
    assert "7 of 11 records were refused" in failure(result)
    assert '{"ops": {"raw_proteins": {"config": {"max_rejected_share": 0.64}}}}' in failure(result)
    result = run.materialize("*raw_proteins,rejected_proteins", raw_proteins={"max_rejected_share": 0.7})
    assert set(failed_checks(result)) == {"every_accession_has_an_organism", "every_file_is_used"}
    refused = {
        row["header"]: (row["kind"], row["line"], row["position"])
        for row in run.rows("rejected_proteins")
        if row["record"]
    }
    assert refused == {
        "dna": ("nucleotides", 3, None),
        "digit": ("illegal letter '1'", 5, 4),
        "gap": ("illegal letter '-'", 7, 3),
        "": ("no identifier", 9, None),
        "empty": ("empty sequence", 11, None),
        "stop": ("begins with a stop", 13, 1),
        "again": ("repeated identifier", 17, None),
    }
    (unusable,) = [row for row in run.rows("rejected_proteins") if not row["record"]]
    assert (unusable["accession"], "line 1" in unusable["reason"]) == ("b", True)
    kept = {row["protein_id"]: row for row in run.rows("raw_proteins")}
    assert set(kept) == {"good", "again", "inside", "x"}
    assert (kept["inside"]["sequence"], kept["inside"]["letters_after_stop"]) == ("MKLVV", 3)
    assert kept["inside"]["partial_3"] is False


def test_proteins_under_the_name_of_contigs_are_told_how_to_name_them(tmp_path: Path) -> None:
    source = folder(tmp_path / "in", {"isolate.fasta": ">x\nMKLVV\n>y\nACGT!\n"})
    run = Run(Home(str(tmp_path / "home")), {"source": source})
    run.materialize("*raw_proteins,rejected_proteins", ok=False)
    protein, bases = (row["reason"] for row in run.rows("rejected_proteins"))
    assert protein.endswith("If the file holds proteins, name it ACCESSION_proteins.fasta or ACCESSION.faa")
    assert "ACCESSION" not in bases


def test_two_files_of_an_accession_are_refused_by_name(tmp_path: Path) -> None:
    source = folder(tmp_path / "in", {"a_proteins.fasta": ">x\nMKLV\n", "a.faa": ">x\nMKLV\n"})
    result = Run(Home(str(tmp_path / "home")), {"source": source}).materialize("protein_files", ok=False)
    assert "a.faa" in failure(result)
    assert "a_proteins.fasta" in failure(result)


def test_a_wrong_catalogue_row_is_refused_by_name_and_the_others_are_used(tmp_path: Path, catalogue: Catalogue) -> None:
    wild = wild_type(catalogue, GYRA)
    own = {"m.tsv": "gene\tposition\tref\talt\ngyrA\t83\tS\tL\ngyrA\t83\tA\tL\n", "r.fasta": fasta({"gyrA": wild})}
    path = folder(tmp_path / "own", own)
    source = folder(tmp_path / "in", {"a_proteins.fasta": fasta({"p": wild[:82] + "L" + wild[83:]})})
    run = Run(Home(str(tmp_path / "home")), {"source": source, "catalogue": f"{path}/m.tsv,{path}/r.fasta"})
    checks = failed_checks(run.materialize())
    assert "line 3, gyrA_A83L: The reference has S at 83" in checks["every_entry_is_used"]
    (refused,) = run.rows("rejected_mutations")
    assert (refused["line"], refused["expected"], refused["found"]) == (3, "A", "S")
    # Entries of no organism are of every organism, so that the accession needs none.
    assert [row["symbol"] for row in run.rows("mutation_calls")] == ["gyrA_S83L"]


@pytest.mark.parametrize(
    ("spec", "column", "value", "check"),
    [
        (ALIGNMENTS, "cigar", "3=", "cigars_hold"),
        (ALIGNMENTS, "score", 1.5, "cigars_hold"),
        (ALIGNMENTS, "score", 1.5, "scores_are_those_of_another_aligner"),
        (SUBSTITUTIONS, "alt_aa", "W", "substitutions_give_the_protein_back"),
        (SUBSTITUTIONS, "position", 1, "substitutions_give_the_protein_back"),
        (DISTINCT_PROTEINS, "sequence", "MKLV", "each_protein_once"),
    ],
)
def test_a_wrong_table_fails_its_check(cases: Run, spec: object, column: str, value: object, check: str) -> None:
    from opengenome_assets.proteins.definitions import members
    from opengenome_assets.proteins.settings import ProteinsSettings

    rules = {each.name: each for each in members(ProteinsSettings()) if hasattr(each, "problems")}
    table = cases.home.table(spec)  # type: ignore[arg-type]
    right = table.at().version
    assert list(rules[check].problems(cases.home)) == []
    changed(cases, spec, column, value)
    try:
        assert list(rules[check].problems(cases.home))
    finally:
        table.restore(right, "test")
    assert list(rules[check].problems(cases.home)) == []
