"""accession_manifest and outliers: each accession in numbers, and what differs from the others.

Belongs here: counting, robust z scores, and the rules of the two tables. Does not belong here: calls and status
(``mutation_calls.py``), and the manifest as a file (``exports.py``).
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from opengenome_assets.framework.checks import rule
from opengenome_assets.framework.group import Member
from opengenome_assets.framework.summaries import Rows, Step, summary
from opengenome_assets.proteins.settings import ProteinsSettings
from opengenome_assets.proteins.tables import (
    ACCESSION_MANIFEST,
    ACCESSIONS,
    ASSIGNED_PROTEINS,
    MUTATION_CALLS,
    MUTATION_STATUS,
    NOVEL_SUBSTITUTIONS,
    OUTLIERS,
    PROTEIN_FILES,
    PROTEINS,
    REJECTED_PROTEINS,
    WILD_TYPES,
)
from opengenome_assets.storage.tables import Home

BORDER = 3.5
"""Robust z from which a value is an outlier (Iglewicz & Hoaglin 1993)."""
FEWEST = 5
"""Units below which no value is called an outlier."""
LEVELS = ("HIGH", "MEDIUM", "LOW", "FAILED")
_READS = (
    PROTEIN_FILES,
    ACCESSIONS,
    PROTEINS,
    REJECTED_PROTEINS,
    ASSIGNED_PROTEINS,
    MUTATION_CALLS,
    MUTATION_STATUS,
    NOVEL_SUBSTITUTIONS,
    WILD_TYPES,
)


def define(_: ProteinsSettings) -> list[Member]:
    """Return the tables and their rules."""
    return [accession_manifest, outliers, levels_add_up]


@summary(ACCESSION_MANIFEST, _READS)
def accession_manifest(step: Step) -> Rows:
    """Count by accession."""
    import pandas as pd

    accessions = step[ACCESSIONS].read().to_pandas().set_index("accession").sort_index()
    files = step[PROTEIN_FILES].read(["accession", "path", "sha256"]).to_pandas()
    checksums = files.sort_values("path").groupby("accession")["sha256"].agg(list)
    proteins = step[PROTEINS].read(["accession", "length"]).to_pandas().groupby("accession")["length"]
    assigned = step[ASSIGNED_PROTEINS].read(["accession", "level", "identity"]).to_pandas()
    status = step[MUTATION_STATUS].read(["accession", "organism", "gene", "examined"]).to_pandas()
    genes = status[status["gene"] != ""]
    versions = step[WILD_TYPES].read(["catalogue_version"])["catalogue_version"].unique().to_pylist()
    high = assigned[assigned["level"] == "HIGH"]
    columns: dict[str, Any] = {
        "proteins": proteins.size(),
        "rejected": _counts(step, REJECTED_PROTEINS),
        "assigned": assigned.groupby("accession").size(),
        **{level.lower(): assigned[assigned["level"] == level].groupby("accession").size() for level in LEVELS},
        "calls": _counts(step, MUTATION_CALLS),
        "novel": _counts(step, NOVEL_SUBSTITUTIONS),
        "catalogue_genes": genes.groupby("accession").size(),
        "examined": genes[genes["examined"]].groupby("accession").size(),
    }
    frame = pd.DataFrame(columns, index=accessions.index).fillna(0).astype("int32")
    frame["identity"] = high.groupby("accession")["identity"].median()
    frame["length"] = proteins.median()
    frame["organism"] = status.groupby("accession")["organism"].first()
    frame["files"] = [sorted(paths) for paths in accessions["files"]]
    frame["sha256"] = checksums
    frame["catalogue_version"] = versions[0] if versions else ""
    table = pa.Table.from_pandas(frame.reset_index(), schema=ACCESSION_MANIFEST.schema, preserve_index=False)
    return Rows(table.replace_schema_metadata(None))


def _counts(step: Step, table: Any) -> Any:
    return step[table].read(["accession"]).to_pandas().groupby("accession").size()


def robust_z(values: np.ndarray) -> np.ndarray:
    """Return 0.6745 (value - median) / MAD of each value; 0 where all others are equal to it.

    If more than half of the values are equal, the MAD is 0. Then the mean absolute deviation takes its place, by
    0.7979 (value - median) / MeanAD, as Iglewicz & Hoaglin (1993) advise.
    """
    apart = values - np.median(values)
    if mad := float(np.median(np.abs(apart))):
        return np.asarray(0.6745 * apart / mad)
    mean = float(np.mean(np.abs(apart)))
    return np.asarray(0.7979 * apart / mean) if mean else np.zeros(len(values))


@summary(OUTLIERS, [ACCESSION_MANIFEST, ASSIGNED_PROTEINS])
def outliers(step: Step) -> Rows:
    """Compare accessions with each other, references with each other, and headers with references."""
    manifest = step[ACCESSION_MANIFEST].read().to_pandas().set_index("accession")
    manifest["unassigned_share"] = 1 - manifest["assigned"] / manifest["proteins"].clip(lower=1)
    assigned = step[ASSIGNED_PROTEINS].read().to_pandas()
    references = assigned.groupby("reference").agg(identity=("identity", "median"), calls=("calls", "sum"))
    rows: list[dict[str, Any]] = []
    for unit, frame, measures in (
        ("accession", manifest, ("identity", "length", "unassigned_share", "calls")),
        ("reference", references, ("identity", "calls")),
    ):
        for measure in measures:
            values = frame[measure].astype(float).dropna()
            if len(values) < FEWEST:
                continue
            scores, median = robust_z(values.to_numpy()), float(values.median())
            for name, value, z in zip(values.index, values, scores, strict=True):
                if abs(z) >= BORDER:
                    reason = f"{measure} {value:.4g}; the median of {len(values):,} is {median:.4g}"
                    row = {"unit": unit, "name": name, "measure": measure, "value": value, "median": median}
                    rows.append(row | {"robust_z": float(z), "reason": reason})
    hints = assigned["gene_hint"].fillna("")
    other = (hints != "") & (hints.str.lower() != assigned["gene"].str.lower())
    for row in assigned[other].to_dict("records"):
        reason = f"The header says {row['gene_hint']}, the sequence is {row['gene']} at identity {row['identity']:.2f}"
        name = f"{row['accession']}, {row['file']}, {row['protein_id']}"
        rows.append({"unit": "protein", "name": name, "measure": "gene_hint", "reason": reason})
    return Rows(pa.Table.from_pylist(rows, schema=OUTLIERS.schema), {"border": BORDER})


@rule(ACCESSION_MANIFEST, "The proteins of all levels are the assigned ones, and no more than all")
def levels_add_up(home: Home) -> Iterator[str]:
    """Add the levels up."""
    for row in home.table(ACCESSION_MANIFEST).read().to_pylist():
        total = sum(row[level.lower()] for level in LEVELS)
        if total != row["assigned"] or row["assigned"] > row["proteins"] or row["examined"] > row["catalogue_genes"]:
            yield f"{row['accession']}: {row['assigned']} assigned, {total} with a level, {row['proteins']} proteins"
