"""figure_*: pictures of the group's tables.

Belongs here: the list of figures, and the tables of each. Does not belong here: drawing (``plots``), and storing a
figure (``framework/figures.py``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow.compute as pc

from opengenome_assets.framework.figures import FigureSpec
from opengenome_assets.framework.group import Member
from opengenome_assets.framework.summaries import Step
from opengenome_assets.storage.snapshot import Snapshot
from opengenome_assets.variants import plots
from opengenome_assets.variants.passes.call import PASS
from opengenome_assets.variants.settings import VariantsSettings
from opengenome_assets.variants.tables import ALIGNMENTS, GENOTYPES, READ_DEPTH, READ_FILES, READ_QUALITY, REFERENCE

if TYPE_CHECKING:
    import pandas as pd

    from opengenome_assets.plots.style import Picture


def define(_: VariantsSettings) -> list[Member]:
    """Return every figure of the group."""
    return [
        FigureSpec("figure_read_qualities", "Mean quality of reads by cycle.", (READ_QUALITY,), draw_qualities),
        FigureSpec("figure_read_gc", "GC content of reads.", (READ_FILES,), draw_gc),
        FigureSpec("figure_insert_sizes", "Insert sizes of pairs.", (ALIGNMENTS,), draw_insert_sizes),
        FigureSpec("figure_depth", "Depth along the reference.", (READ_DEPTH,), draw_depth),
        FigureSpec(
            "figure_allele_fractions", "Fractions of reads with called alleles.", (GENOTYPES,), draw_fractions, "2"
        ),
        FigureSpec("figure_substitutions", "Variants by substitution.", (GENOTYPES,), draw_substitutions, "2"),
        FigureSpec("figure_indel_lengths", "Lengths of insertions and deletions.", (GENOTYPES,), draw_indels, "2"),
        FigureSpec("figure_variant_density", "Variants along the reference.", (GENOTYPES, REFERENCE), draw_density),
    ]


def passing(table: Snapshot) -> pd.DataFrame:
    """Return the calls that passed."""
    rows = table.read()
    frame: pd.DataFrame = rows.filter(pc.equal(rows["filter"], PASS)).to_pandas()
    return frame


def draw_qualities(step: Step) -> Picture:
    """Draw qualities by cycle."""
    columns = ["sample", "mate", "cycle", "reads", "mean_quality"]
    return plots.samples.qualities(step[READ_QUALITY].read(columns).to_pandas())


def draw_gc(step: Step) -> Picture:
    """Draw the reads' content of G and C."""
    return plots.samples.gc_content(step[READ_FILES].read(["sample", "reads", "gc", "gc_histogram"]).to_pandas())


def draw_insert_sizes(step: Step) -> Picture:
    """Draw insert sizes."""
    return plots.samples.insert_sizes(step[ALIGNMENTS].read(["sample", "reads", "insert_sizes"]).to_pandas())


def draw_depth(step: Step) -> Picture:
    """Draw depth along contigs."""
    return plots.samples.depth(step[READ_DEPTH].read(["sample", "contig", "start", "end", "mean"]).to_pandas())


def draw_fractions(step: Step) -> Picture:
    """Draw allele fractions."""
    return plots.samples.fractions(passing(step[GENOTYPES]))


def draw_substitutions(step: Step) -> Picture:
    """Draw substitutions."""
    return plots.samples.substitutions(passing(step[GENOTYPES]))


def draw_indels(step: Step) -> Picture:
    """Draw insertions and deletions by length."""
    return plots.samples.indel_lengths(passing(step[GENOTYPES]))


def draw_density(step: Step) -> Picture:
    """Draw variants along contigs."""
    return plots.samples.density(passing(step[GENOTYPES]), step[REFERENCE].read(["contig", "length"]).to_pandas())
