"""read_quality and read_files: the quality of each read file.

Belongs here: the files of the catalogue as units, and what must be true of the tables. Does not belong here: counting
(``passes/quality.py``).
"""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from opengenome_assets.engine import Engine
from opengenome_assets.framework.assets import HOME_POOL, asset_spec
from opengenome_assets.framework.checks import rule
from opengenome_assets.framework.group import Member
from opengenome_assets.framework.making import table_of
from opengenome_assets.storage.tables import Home
from opengenome_assets.variants.plans import plan_quality
from opengenome_assets.variants.settings import VariantsSettings
from opengenome_assets.variants.tables import RAW_READS, READ_FILES, READ_QUALITY, REFERENCE
from opengenome_assets.variants.units import carry_out

SHOWN = 50


def define(_: VariantsSettings) -> list[Member]:
    """Return the tables and their rules."""
    return [read_quality, cycles_add_up, mates_have_as_many_reads]


@dg.multi_asset(
    pool=HOME_POOL,
    name=READ_QUALITY.name,
    can_subset=True,
    # CRAM needs the reference to be read.
    specs=[asset_spec(READ_QUALITY, [RAW_READS, REFERENCE]), asset_spec(READ_FILES, [RAW_READS, REFERENCE])],
)
def read_quality(
    context: dg.AssetExecutionContext, home: dg.ResourceParam[Home], engine: dg.ResourceParam[Engine]
) -> Iterator[dg.MaterializeResult[Any] | dg.AssetMaterialization]:
    """Count the reads of files that were not counted before."""
    yield from carry_out(context, home, engine, plan_quality(home), lambda: {"files": _listed(home)})


def _listed(home: Home) -> dg.TableMetadataValue:
    columns = ("sample", "lane", "mate", "reads", "mean_quality", "q30", "duplication")
    rows = home.table(READ_FILES).read(columns).to_pylist() if home.table(READ_FILES).exists() else []
    return table_of(columns, [[row[name] for name in columns] for row in rows[:SHOWN]])


@rule(READ_FILES, "Letters of the cycles add up to those of the file, and reads of the first cycle are all reads")
def cycles_add_up(home: Home) -> Iterator[str]:
    """Compare the two tables."""
    cycles = home.table(READ_QUALITY).read(["sample", "lane", "mate", "cycle", "reads"]).to_pandas()
    sums = cycles.groupby(["sample", "lane", "mate"])["reads"].agg(["sum", "max"])
    for row in home.table(READ_FILES).read().to_pylist():
        place = row["sample"], row["lane"], row["mate"]
        letters, reads = sums.loc[place] if place in sums.index else (0, 0)
        if (letters, reads) != (row["letters"], row["reads"]):
            yield f"{place}: {letters:,} letters and {reads:,} reads by cycle, {row['letters']:,} and {row['reads']:,}"


@rule(READ_FILES, "Both mates of a lane have as many reads")
def mates_have_as_many_reads(home: Home) -> Iterator[str]:
    """Compare the numbers of reads of mates."""
    counts: dict[tuple[str, str], dict[int, int]] = {}
    for row in home.table(READ_FILES).read(["sample", "lane", "mate", "reads"]).to_pylist():
        counts.setdefault((row["sample"], row["lane"]), {})[row["mate"]] = row["reads"]
    for (sample, lane), mates in counts.items():
        if mates.get(1) != mates.get(2):
            yield f"sample {sample}, lane {lane}: {mates.get(1)} reads of mate 1 and {mates.get(2)} of mate 2"
