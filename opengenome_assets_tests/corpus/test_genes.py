"""The genes of a corpus: their rows, the genetic code of each source, and the check that a code fits."""

import dagster as dg
import pytest
from Bio.Seq import Seq

from opengenome_assets.corpus.genes import genetic_code_fits
from opengenome_assets.storage.tables import Home
from opengenome_assets_tests.corpora import Corpus, write_files
from opengenome_assets_tests.kernels.texts import fasta, sample

TABLES = "*genes,*codon_rscu,*codon_bias,rejected_records"
HUMAN = "NC_012920.1"


@pytest.fixture(scope="module")
def genomes(tmp_path_factory) -> Corpus:
    """The human mitochondrion and an insect's, each a source, both read by the standard code."""
    root = tmp_path_factory.mktemp("genomes")
    insect = dict(list(sample("mitochondria").items())[:1])
    write_files(root / "fasta", {"man/m.fa": fasta(sample("vertebrate_mitochondria")), "ant/a.fa": fasta(insect)})
    made = Corpus(Home(str(root / "home")), str(root / "fasta"), (2,))
    made.materialize(TABLES)
    return made


@pytest.mark.long
def test_a_check_warns_of_a_wrong_code_and_names_the_right_ones(genomes, tmp_path):
    ant, man = genetic_code_fits.problems(genomes.home)
    assert ant.startswith("ant: by genetic code 1 (stops TAA TAG TGA) long frames hold 9% of the letters more than")
    assert "with the stops TAA TAG, of codes 3, 4, 5, 9" in ant
    assert "stops AGA AGG TAA TAG, of code 2," in man
    assert "set OPENGENOME_GENETIC_CODES=man=NUMBER" in man
    result = genomes.materialize("genes,gene_codons")
    (warning,) = [each for each in result.get_asset_check_evaluations() if each.check_name == "genetic_code_fits"]
    assert (warning.passed, warning.severity, warning.blocking) == (False, dg.AssetCheckSeverity.WARN, False)

    again = Corpus(Home(str(tmp_path)), genomes.source, (2,))
    again.materialize(TABLES, genes={"genetic_codes": {"man": 5, "ant": 5}})  # what the sample once had
    (man,) = genetic_code_fits.problems(again.home)
    assert man.startswith("man: by genetic code 5 ")
    right = again.materialize("genes,gene_codons,codon_rscu", genes={"genetic_codes": {"man": 2, "ant": 5}})
    assert list(genetic_code_fits.problems(again.home)) == []
    # Only the shard of the source whose code changed is read again.
    assert again.metadata(right, "genes")["shards_reused"] == 1
    assert again.metadata(right, "genes")["genetic_codes"] == {"man": 2, "ant": 5}
    stops = {
        row["codon"]
        for row in again.content("codon_rscu")
        if (row["source"], row["basis"], row["amino_acid"]) == ("man", "genes", "*")
    }
    assert stops == {"AGA", "AGG", "TAA", "TAG"}


@pytest.mark.long
def test_a_gene_is_a_row_with_its_protein(genomes):
    rows = genomes.home.table("genes").read().to_pylist()
    sequences = {row["seq_id"]: row["sequence"] for row in genomes.home.table("sequence_shards").read().to_pylist()}
    assert len(rows) > 10
    for row in rows:
        coding = Seq(sequences[row["seq_id"]][row["begin"] - 1 : row["end"]])
        read = coding if row["strand"] == 1 else coding.reverse_complement()
        protein = str(read.translate(row["genetic_code"])).removesuffix("*")
        assert row["protein"][1:] == protein[1:]
        assert row["method"] == "orf"
        assert row["start_codon"] == ("" if row["partial_5"] else str(read[:3]))


@pytest.mark.parametrize(("letters", "warnings"), [(9_999, 0), (10_000, 1)])
@pytest.mark.long
def test_few_letters_are_no_ground_to_warn(corpus, letters, warnings):
    made = corpus({"man/m.fa": fasta({"m": sample("vertebrate_mitochondria")[HUMAN][-letters:]})})
    made.materialize(TABLES)
    assert len(list(genetic_code_fits.problems(made.home))) == warnings


def test_codons_of_genes_add_up_and_all_has_the_code_that_the_sources_share(genomes):
    counts = {row["source"]: sum(row["counts"]) for row in genomes.content("gene_codons")}
    genes = {row["source"]: row for row in genomes.content("codon_bias")}
    assert {source: row["codons"] for source, row in genes.items()} == {**counts, "all": sum(counts.values())}
    usage = genomes.home.table("codon_rscu").read().to_pandas()
    assert usage.query("basis == 'genes'").groupby("source")["count"].sum().to_dict() == {
        **counts,
        "all": sum(counts.values()),
    }
    assert usage.groupby(["source", "basis"], dropna=False).size().to_dict() == {
        (source, basis): rows for source in ("all", "ant", "man") for basis, rows in (("frames", 192), ("genes", 64))
    }
    assert genes["all"]["genetic_code"] == 1
    assert 20 < genes["man"]["effective_codons"] < 61
