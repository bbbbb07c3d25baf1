"""accessions: organism and genetic code of each accession, by the sample sheet.

Belongs here: joining files and sheet. Does not belong here: reading the sheet (``files.py``), and which organisms the
catalogue knows (``mutation_calls.py``).
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterator

import dagster as dg
import pyarrow as pa

from opengenome_assets import words
from opengenome_assets.framework.checks import rule
from opengenome_assets.framework.group import Member
from opengenome_assets.framework.summaries import Rows, Step, summary
from opengenome_assets.proteins.files import BACTERIAL_CODE, Row, SheetError, find_sheet, read_sheet
from opengenome_assets.proteins.settings import ProteinsSettings
from opengenome_assets.proteins.tables import ACCESSIONS, PROTEIN_FILES
from opengenome_assets.storage.tables import Home


def define(settings: ProteinsSettings) -> list[Member]:
    """Return the table and its rules."""
    return [accessions_asset(settings.sheet), every_accession_has_an_organism]


def accessions_asset(named: str) -> dg.AssetsDefinition:
    """Return the asset accessions, which reads the sheet that is named, or the one beside the files."""

    @summary(ACCESSIONS, [PROTEIN_FILES])
    def accessions(step: Step) -> Rows:
        catalogue = step[PROTEIN_FILES]
        try:
            path = find_sheet(named, catalogue.provenance.specification)
            sheet = read_sheet(path) if path else {}
        except SheetError as error:
            raise dg.Failure(str(error), allow_retries=False) from error
        files: dict[str, list[str]] = defaultdict(list)
        for row in catalogue.read(["accession", "path"]).to_pylist():
            files[row["accession"]].append(row["path"])
        if unknown := sorted(set(sheet) - set(files)):
            step.log.warning(f"the sample sheet {path} names accessions without a file: {words.listing(unknown, 10)}")
        rows = [
            {
                "accession": accession,
                "organism": sheet.get(accession, Row("", BACTERIAL_CODE)).organism,
                "genetic_code": sheet.get(accession, Row("", BACTERIAL_CODE)).genetic_code,
                "files": paths,
            }
            for accession, paths in sorted(files.items())
        ]
        table = pa.Table.from_pylist(rows, schema=ACCESSIONS.schema)
        content = hashlib.sha256(
            repr([(row["accession"], row["organism"], row["genetic_code"]) for row in rows]).encode()
        )
        settings = {"sheet": str(path.absolute()) if path else "", "organisms": content.hexdigest()}
        metadata = {"accessions": len(rows), "sheet": settings["sheet"] or "none", "without_file": unknown[:100]}
        return Rows(table, settings, metadata)

    return accessions


@rule(ACCESSIONS, "The sample sheet names each accession's organism", blocking=False)
def every_accession_has_an_organism(home: Home) -> Iterator[str]:
    """Name the accessions without an organism: no mutation is called in them."""
    for row in home.table(ACCESSIONS).read(["accession", "organism"]).to_pylist():
        if not row["organism"]:
            yield f"{row['accession']}: no organism, so no mutation is called. Name it in the sample sheet, samples.tsv"
