"""figure_*: pictures of the tables of proteins.

Belongs here: the list of figures, and the data frames of each. Does not belong here: drawing (``plots``), and storing a
figure (``framework/figures.py``).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from opengenome_assets.framework.figures import FigureSpec
from opengenome_assets.framework.group import Member
from opengenome_assets.framework.summaries import Step
from opengenome_assets.framework.table import TableSpec
from opengenome_assets.proteins import plots
from opengenome_assets.proteins.differences import call_changes, earlier
from opengenome_assets.proteins.settings import Level, ProteinsSettings
from opengenome_assets.proteins.tables import (
    ACCESSIONS,
    ASSIGNED_PROTEINS,
    KNOWN_MUTATIONS,
    MUTATION_CALLS,
    MUTATION_STATUS,
    SUBSTITUTIONS,
    WILD_TYPES,
)

if TYPE_CHECKING:
    from opengenome_assets.plots.style import Picture

Frame = Any  # a data frame; the stubs of pandas give each cell the type of every scalar


def define(settings: ProteinsSettings) -> list[Member]:
    """Return the figures."""
    return [*figure_specs(settings.levels)]


def figure_specs(levels: Sequence[Level]) -> list[FigureSpec]:
    """Return every figure of the group."""
    return [
        FigureSpec(
            "figure_mutation_matrix",
            "Which accession has which known mutation, and what could not be examined.",
            (MUTATION_CALLS, MUTATION_STATUS, KNOWN_MUTATIONS),
            draw_matrix,
            code_version="2",
        ),
        FigureSpec(
            "figure_mutation_positions",
            "Changes along each gene, known against novel.",
            (ASSIGNED_PROTEINS, SUBSTITUTIONS, MUTATION_CALLS, WILD_TYPES),
            draw_lollipop,
            code_version="3",
        ),
        FigureSpec(
            "figure_prevalence",
            "Share of accessions with each known mutation, with 95 % Wilson intervals.",
            (MUTATION_CALLS, MUTATION_STATUS),
            draw_prevalence,
            code_version="2",
        ),
        FigureSpec(
            "figure_identity_coverage",
            "Identity against coverage of the assigned proteins, with the borders of the levels.",
            (ASSIGNED_PROTEINS,),
            partial(draw_identity, levels=levels),
        ),
        FigureSpec(
            "figure_drug_classes",
            "Classes of drugs with known mutations, and their combinations.",
            (MUTATION_CALLS, ACCESSIONS),
            draw_classes,
        ),
        FigureSpec(
            "figure_catalogue_diff",
            "Known mutations gained, lost and renamed since the version before, by entry and cause.",
            (MUTATION_CALLS,),
            draw_diff,
            code_version="2",
        ),
    ]


def _read(step: Step, table: TableSpec, columns: list[str]) -> Frame:
    """Return some columns; genes of DNA get names of their own, since a promoter is named as its protein."""
    frame = step[table].read([*columns, "molecule"]).to_pandas()
    frame["gene"] = frame["gene"].where(frame["molecule"] != "dna", frame["gene"] + " (DNA)")
    return frame.drop(columns=["molecule"])


def draw_matrix(step: Step) -> Picture:
    """Draw accessions and mutations."""
    calls = _read(step, MUTATION_CALLS, ["accession", "gene", "symbol", "position"])
    status = _read(step, MUTATION_STATUS, ["accession", "organism", "gene", "examined"])
    entries = step[KNOWN_MUTATIONS].read(["organism", "symbol"]).to_pydict().values()
    return plots.mutations.mutation_matrix(calls, status, set(zip(*entries, strict=True)))


def draw_lollipop(step: Step) -> Picture:
    """Draw changes along the genes."""
    columns = ["accession", "protein_sha256", "reference", "gene"]
    assigned = step[ASSIGNED_PROTEINS].read(columns).to_pandas()
    rows = step[SUBSTITUTIONS].read(["protein_sha256", "reference", "position", "short"]).to_pandas()
    own = assigned.merge(rows, on=["protein_sha256", "reference"])
    pairs = ["accession", "reference", "gene", "position", "short"]
    known = _read(step, MUTATION_CALLS, [*pairs, "symbol"])
    both = own[pairs].drop_duplicates().merge(known.drop_duplicates(), on=pairs, how="outer")
    both["symbol"] = both["symbol"].fillna("")
    references = step[WILD_TYPES].read(["reference", "organisms", "length"]).to_pandas()
    references["organism"] = references["organisms"].map(", ".join)
    both = both.merge(references.drop(columns=["organisms"]), on="reference")
    keys = ["reference", "gene", "organism", "length", "position", "short"]
    changes = both.groupby(keys).agg(accessions=("accession", "nunique"), symbol=("symbol", "max"))
    return plots.mutations.lollipop(changes.reset_index())


def prevalences(calls: Frame, status: Frame) -> Frame:
    """Return for each organism and mutation in how many accessions it is, of how many that were examined."""
    import pandas as pd

    found = calls.groupby(["organism", "gene", "symbol"])["accession"].agg(set)
    examined = status[status["examined"]].groupby(["organism", "gene"])["accession"].agg(set)
    rows = [
        {
            "organism": organism,
            "gene": gene,
            "symbol": symbol,
            "found": len(own),
            # Found in a gene that was not seen whole: the accession counts on both sides.
            "examined": len(own | examined.get((organism, gene), set())),
        }
        for (organism, gene, symbol), own in found.items()
    ]
    return pd.DataFrame(rows, columns=["organism", "gene", "symbol", "found", "examined"])


def draw_prevalence(step: Step) -> Picture:
    """Draw shares of accessions."""
    calls = _read(step, MUTATION_CALLS, ["accession", "organism", "gene", "symbol"])
    status = _read(step, MUTATION_STATUS, ["accession", "organism", "gene", "examined"])
    return plots.mutations.prevalence(prevalences(calls, status))


def draw_identity(step: Step, levels: Sequence[Level]) -> Picture:
    """Draw identity against coverage."""
    frame = step[ASSIGNED_PROTEINS].read(["identity", "coverage_query", "coverage_reference", "level"]).to_pandas()
    frame["coverage"] = frame[["coverage_query", "coverage_reference"]].min(axis=1)
    return plots.mutations.identity_coverage(frame, levels)


def draw_diff(step: Step) -> Picture:
    """Draw what became of the calls since the newest earlier version with other rows."""
    import pandas as pd

    after = step[MUTATION_CALLS]
    before = earlier(step.home.table(MUTATION_CALLS), after)
    changes = []
    try:
        changes = call_changes(step.home, before, after.version) if before is not None else []
    except LookupError:  # upkeep has removed a table that it was made from
        before = None
    rows = [
        (each.change, " → ".join(filter(None, (each.before, each.after))), each.cause, each.accession)
        for each in changes
    ]
    frame = pd.DataFrame(rows, columns=["change", "name", "cause", "accession"])
    versions = "" if before is None else f"versions {before} and {after.version} of mutation_calls"
    return plots.mutations.call_changes(frame, versions)


def draw_classes(step: Step) -> Picture:
    """Draw classes of drugs."""
    calls = step[MUTATION_CALLS].read(["accession", "drug_class"]).to_pandas()
    return plots.mutations.drug_classes(calls, step[ACCESSIONS].rows)
