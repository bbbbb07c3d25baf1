"""wild_types, known_mutations and rejected_mutations: the catalogue as tables, with its version.

Belongs here: which files are read, their rows, and the rules of the three tables. Does not belong here: reading and
checking entries (``catalogue.py``).
"""

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import dagster as dg
import pyarrow as pa
import pyarrow.compute as pc

from opengenome_assets import words
from opengenome_assets.framework.assets import HOME_POOL, asset_spec
from opengenome_assets.framework.checks import rule
from opengenome_assets.framework.group import Member
from opengenome_assets.framework.making import Making, emitted
from opengenome_assets.framework.table import TableSpec
from opengenome_assets.proteins.catalogue import (
    DNA,
    PROTEIN,
    Catalogue,
    CatalogueError,
    Mutation,
    Reference,
    open_catalogues,
)
from opengenome_assets.proteins.settings import ProteinsSettings
from opengenome_assets.proteins.tables import KNOWN_MUTATIONS, REJECTED_MUTATIONS, WILD_TYPES
from opengenome_assets.storage.record import Provenance
from opengenome_assets.storage.tables import Home


def define(settings: ProteinsSettings) -> list[Member]:
    """Return the tables and their rules."""
    return [wild_types_asset(settings.catalogue), entries_agree, every_entry_is_used]


def wild_types_asset(specification: str) -> dg.AssetsDefinition:
    """Return the asset that reads a catalogue into the three tables."""

    @dg.multi_asset(
        pool=HOME_POOL,
        name=WILD_TYPES.name,
        can_subset=True,
        specs=[asset_spec(spec, []) for spec in (WILD_TYPES, KNOWN_MUTATIONS, REJECTED_MUTATIONS)],
    )
    def wild_types(
        context: dg.AssetExecutionContext, home: dg.ResourceParam[Home]
    ) -> Iterator[dg.MaterializeResult[Any] | dg.AssetMaterialization]:
        making = Making(context, __name__)
        try:
            catalogues = open_catalogues(specification)
        except (CatalogueError, OSError) as error:
            raise dg.Failure(str(error), allow_retries=False) from error
        rejected = [entry for each in catalogues.values() for entry in each.rejected]
        for entry in rejected[:20]:
            context.log.warning(f"line {entry.line}: {entry.symbol} is refused: {entry.reason}")
        versions = {
            "catalogue_version": catalogues[PROTEIN].version,
            **({"dna_catalogue_version": catalogues[DNA].version} if DNA in catalogues else {}),
        }
        facts = {
            "catalogue": specification,
            **versions,
            "references": sum(len(each.references) for each in catalogues.values()),
            "mutations": sum(len(each.mutations) for each in catalogues.values()),
            "rejected": len(rejected),
            "organisms": len({name for each in catalogues.values() for name in each.organisms}),
        }
        for spec, rows in rows_of(catalogues):
            record = Provenance(
                name=spec.name,
                code_version=spec.code_version,
                settings={"catalogue": specification, **versions},
            )
            provenance = making.recorded(record)
            commit = home.table(spec).write(pa.Table.from_pylist(rows, schema=spec.schema), provenance)
            yield emitted(context, home, making.result(spec, commit, provenance, facts))

    return wild_types


def rows_of(catalogues: Mapping[str, Catalogue]) -> list[tuple[TableSpec, list[dict[str, Any]]]]:
    """Return the rows of the three tables."""
    tables: dict[str, tuple[TableSpec, list[dict[str, Any]]]] = {}
    for molecule, catalogue in catalogues.items():
        for spec, rows in _rows_of(catalogue, {"molecule": molecule, "catalogue_version": catalogue.version}):
            tables.setdefault(spec.name, (spec, []))[1].extend(rows)
    return list(tables.values())


def _rows_of(catalogue: Catalogue, version: Mapping[str, str]) -> list[tuple[TableSpec, list[dict[str, Any]]]]:
    numbers = Counter(entry.reference.accession for entry in catalogue.mutations)
    organisms: dict[str, set[str]] = {}
    for entry in catalogue.mutations:
        organisms.setdefault(entry.reference.accession, set()).add(entry.organism)
    references = [
        {
            "reference": each.accession,
            "gene": each.gene,
            "organisms": sorted(organisms[each.accession]),
            "mutations": numbers[each.accession],
            "length": len(each.sequence),
            "sha256": hashlib.sha256(each.sequence.encode()).hexdigest(),
            "sequence": each.sequence,
            **version,
        }
        for each in catalogue.references
    ]
    known = [
        {
            "line": entry.line,
            "reference": entry.reference.accession,
            "gene": entry.reference.gene,
            "organism": entry.organism,
            "symbol": entry.symbol,
            "position": entry.position,
            "numbering": entry.numbering,
            "ref_aa": entry.ref,
            "alt_aa": entry.alt,
            "stop_after": entry.stop_after,
            "kind": entry.kind,
            "normal_form": f"{entry.ref}{entry.position}{entry.alt}fsTer{entry.stop_after}"
            if entry.stop_after
            else ";".join(change.short() for change in entry.changes),
            "drug_class": entry.drug_class,
            "drug": entry.drug,
            **version,
        }
        for entry in catalogue.mutations
    ]
    fields = ("line", "symbol", "reference", "reason", "expected", "found")
    rejected = [{**{name: getattr(entry, name) for name in fields}, **version} for entry in catalogue.rejected]
    return [(WILD_TYPES, references), (KNOWN_MUTATIONS, known), (REJECTED_MUTATIONS, rejected)]


def catalogue_of(references: pa.Table, mutations: pa.Table, molecule: str) -> Catalogue:
    """Return the catalogue of a molecule that the tables hold, without its refused entries; empty if it has none."""
    references, mutations = (table.filter(pc.field("molecule") == molecule) for table in (references, mutations))
    wild = [Reference(row["reference"], row["gene"], row["sequence"], molecule) for row in references.to_pylist()]
    by_name = {each.accession: each for each in wild}
    known = tuple(
        Mutation(
            *(by_name[row["reference"]], row["organism"], row["symbol"], row["position"], row["numbering"]),
            *(row["ref_aa"], row["alt_aa"], row["stop_after"], row["drug_class"], row["drug"], row["line"]),
        )
        for row in mutations.to_pylist()
    )
    versions = references["catalogue_version"].unique().to_pylist()
    return Catalogue(tuple(wild), known, (), versions[0] if versions else "")


@rule(KNOWN_MUTATIONS, "The reference has the letters of each entry at its position, and each entry has one")
def entries_agree(home: Home) -> Iterator[str]:
    """Read the letters again."""
    rows = home.table(WILD_TYPES).read(["reference", "sequence"]).to_pydict()
    sequences = dict(zip(rows["reference"], rows["sequence"], strict=True))
    for row in home.table(KNOWN_MUTATIONS).read().to_pylist():
        start = row["position"] - 1
        found = sequences.get(row["reference"], "")[start : start + len(row["ref_aa"])]
        if found != row["ref_aa"] or start < 0:
            yield f"line {row['line']}, {row['symbol']}: {row['reference']} has {found or 'nothing'} there"


@rule(REJECTED_MUTATIONS, "Every entry of the catalogue is used", blocking=False)
def every_entry_is_used(home: Home) -> Iterator[str]:
    """Name the refused entries."""
    for row in home.table(REJECTED_MUTATIONS).read().to_pylist():
        yield f"line {row['line']}, {row['symbol']}: {words.shorten(row['reason'], 200)}"
