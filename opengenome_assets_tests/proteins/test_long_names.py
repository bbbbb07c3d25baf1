"""Long names of accessions, genes, mutations, organisms and classes of drugs: every figure shows them whole."""

from itertools import combinations

import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

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


@pytest.mark.long
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


@pytest.mark.long
def test_of_genes_and_changes_along_them(calls: pd.DataFrame) -> None:
    rows = [
        (f"R{gene}", gene, ORGANISM, site, f"S{site}L", site, 880)
        for gene in GENES
        for site in (3, 4, *SITES, 500, 879)
    ]
    names = ["reference", "gene", "organism", "position", "symbol", "accessions", "length"]
    picture = mutations.lollipop(pd.DataFrame(rows, columns=names))
    assert_names_are_whole(picture.figure, GENES)
    assert_names_are_whole(picture.figure, ["S90L", "S500L", "S879L"])


def test_of_one_gene_of_two_organisms_there_are_two_panels_and_labels_do_not_touch() -> None:
    rows = [
        ("NC_1", "23S (DNA)", "Escherichia", place, f"23S_A{place}G", 3, 2905) for place in (1, 2030, 2032, 2058, 2905)
    ] + [("NC_2", "23S (DNA)", "Campylobacter", 2234, "23S_A2075G", 1, 2912)]
    names = ["reference", "gene", "organism", "position", "symbol", "accessions", "length"]
    figure = mutations.lollipop(pd.DataFrame(rows, columns=names)).figure
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    titles = [ax.get_title(loc="left") for ax in figure.axes]
    assert titles == ["23S (DNA) of Escherichia (NC_1)", "23S (DNA) of Campylobacter (NC_2)"]
    assert [text.get_text() for text in figure.axes[1].texts] == ["23S_A2075G"]
    boxes = [text.get_window_extent(canvas.get_renderer()) for text in figure.axes[0].texts]
    assert len(boxes) == 3
    assert not any(one.overlaps(other) for one, other in combinations(boxes, 2))
    assert all(box.x0 >= 0 and box.x1 <= figure.bbox.x1 for box in boxes)
