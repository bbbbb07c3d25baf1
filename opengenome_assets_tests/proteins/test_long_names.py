"""Long names of accessions, genes, mutations, organisms and classes of drugs: every figure shows them whole."""

import pandas as pd
import pytest

from opengenome_assets.proteins.plots import mutations
from opengenome_assets_tests.plots.names import assert_names_are_whole

ACCESSIONS = [f"GCF_000005845.2_ASM584v2_isolate_{number:02}_2026" for number in range(12)]
GENES = [f"undecaprenyl_diphosphatase_homolog_{number}" for number in range(4)]
SITES = (83, 84, 87, 90)
SYMBOLS = [f"{gene}_S{site}L" for gene in GENES for site in SITES]
ORGANISM = "Burkholderia_pseudomallei_complex_group"
CLASSES = ["QUINOLONE", "FLUOROQUINOLONE/TETRACYCLINE/BETA-LACTAM", "COLISTIN"]


@pytest.fixture(scope="module")
def calls() -> pd.DataFrame:
    rows = [
        (accession, gene, f"{gene}_S{site}L", site, CLASSES[(place + site) % 3])
        for place, accession in enumerate(ACCESSIONS)
        for gene in GENES
        for site in SITES
        if (place + site) % 2
    ]
    return pd.DataFrame(rows, columns=["accession", "gene", "symbol", "position", "drug_class"])


def test_of_accessions_and_mutations_in_the_matrix(calls: pd.DataFrame) -> None:
    pairs = [(accession, ORGANISM, gene, True) for accession in ACCESSIONS for gene in GENES]
    status = pd.DataFrame(pairs, columns=["accession", "organism", "gene", "examined"])
    entries = [(ORGANISM, symbol) for symbol in SYMBOLS]
    assert_names_are_whole(mutations.mutation_matrix(calls, status, entries).figure, [*ACCESSIONS, *SYMBOLS])


def test_of_mutations_and_organisms_beside_their_prevalence() -> None:
    rows = [(ORGANISM, symbol, 1 + place % 11, 12) for place, symbol in enumerate(SYMBOLS)]
    shares = pd.DataFrame(rows, columns=["organism", "symbol", "found", "examined"])
    names = [f"{symbol}, {ORGANISM.replace('_', ' ')}" for symbol in SYMBOLS]
    assert_names_are_whole(mutations.prevalence(shares).figure, names)


def test_of_classes_of_drugs(calls: pd.DataFrame) -> None:
    names = [name.capitalize() for name in CLASSES]
    assert_names_are_whole(mutations.drug_classes(calls, len(ACCESSIONS)).figure, names)


def test_of_genes_and_changes_along_them(calls: pd.DataFrame) -> None:
    rows = [(gene, site, f"S{site}L", True, site, 880) for gene in GENES for site in (3, 4, *SITES, 500, 879)]
    changes = pd.DataFrame(rows, columns=["gene", "position", "short", "known", "accessions", "length"])
    picture = mutations.lollipop(changes)
    assert_names_are_whole(picture.figure, GENES)
    assert_names_are_whole(picture.figure, ["S90L", "S500L", "S879L"])
