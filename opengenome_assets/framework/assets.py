"""Assets: a table's declaration as a Dagster asset.

Belongs here: the asset, column schema and column lineage of a `TableSpec`. Does not belong here: the declaration itself
(``table.py``), and materialising (``making.py``).
"""

from __future__ import annotations

from collections.abc import Iterable

import dagster as dg

from opengenome_assets.framework.table import TableSpec
from opengenome_assets.storage.tables import Named

HOME_POOL = "home"
"""Concurrency pool of the steps that write to the home, of which one run at a time does."""


def asset_spec(spec: TableSpec, reads: Iterable[Named], *, skippable: bool = False) -> dg.AssetSpec:
    """Return the asset that makes a table.

    Parameters
    ----------
    spec
        The table.
    reads
        The tables or figures that it is made from.
    skippable
        Whether a step may skip it.
    """
    return dg.AssetSpec(
        spec.name,
        deps=[each.name for each in reads],
        code_version=spec.code_version,
        kinds={"deltalake", *spec.kinds},
        skippable=skippable,
        metadata={"dagster/column_schema": column_schema(spec)},
        description=spec.description,
    )


def column_schema(spec: TableSpec) -> dg.TableSchema:
    """Return a table's columns, types and descriptions."""
    return dg.TableSchema(
        columns=[dg.TableColumn(each.name, str(each.type), description=each.words) for each in spec.columns]
    )


def column_lineage(spec: TableSpec) -> dg.TableColumnLineage:
    """Return the origins of a table's columns."""
    return dg.TableColumnLineage(
        {each.name: [dg.TableColumnDep(*origin.split(".")) for origin in each.origins] for each in spec.columns}
    )
