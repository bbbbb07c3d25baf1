"""Long names of samples and contigs: every figure shows them whole."""

import numpy as np
import pandas as pd
import pytest

from opengenome_assets.variants.plots import samples
from opengenome_assets_tests.plots.names import assert_names_are_whole

CONTIGS = ["NC_000001.11_chromosome_1_GRCh38.p14_primary_assembly", "chrM"]


@pytest.fixture(params=[1, 6, pytest.param(12, marks=pytest.mark.long)])
def names(request: pytest.FixtureRequest) -> list[str]:
    found = [f"patient_{number:02}_blood_tumour-normal_pair_20261"[:40] for number in range(request.param)]
    assert all(len(name) == 40 for name in found)
    return found


@pytest.mark.long
def test_of_samples_beside_qualities_and_insert_sizes(names: list[str]) -> None:
    cycles = [(name, mate, cycle, 100, 36.0) for name in names for mate in (1, 2) for cycle in range(1, 9)]
    frame = pd.DataFrame(cycles, columns=["sample", "mate", "cycle", "reads", "mean_quality"])
    assert_names_are_whole(samples.qualities(frame).figure, names)
    sizes = pd.DataFrame({"sample": names, "reads": 100, "insert_sizes": [np.arange(50).tolist()] * len(names)})
    assert_names_are_whole(samples.insert_sizes(sizes).figure, names)


def test_of_samples_and_contigs_along_the_reference(names: list[str]) -> None:
    windows = [(name, contig, 1, 1000, 30.0) for name in names for contig in CONTIGS]
    frame = pd.DataFrame(windows, columns=["sample", "contig", "start", "end", "mean"])
    assert_names_are_whole(samples.depth(frame).figure, [*names, *CONTIGS])


@pytest.mark.long
def test_of_samples_beside_their_alleles(names: list[str]) -> None:
    calls = [(name, 0.5, *pair) for name in names for pair in ("AC", "CT", "GT")]
    frame = pd.DataFrame(calls, columns=["sample", "vaf", "ref", "alt"])
    assert_names_are_whole(samples.fractions(frame).figure, names)
    assert_names_are_whole(samples.substitutions(frame).figure, names)
