"""protein_files: the catalogue of verified files of proteins and assemblies.

Belongs here: one row per file with the SHA-256 of its bytes. Does not belong here: finding files
(``intake/sources.py``), their accessions (``files.py``), and reading them (``raw_proteins.py``).
"""

import os
from typing import Any

import dagster as dg
import pyarrow as pa
from pydantic import Field

from opengenome_assets.framework.assets import HOME_POOL, asset_spec
from opengenome_assets.framework.catalogues import catalogue_record
from opengenome_assets.framework.group import Member
from opengenome_assets.framework.making import Making
from opengenome_assets.intake.hub.request import RemoteError
from opengenome_assets.intake.kinds import is_archive_name
from opengenome_assets.intake.sources import SourceError, list_source
from opengenome_assets.intake.verification import fetch, take_checksums
from opengenome_assets.proteins.files import KIND, SHEET, accession_and_kind
from opengenome_assets.proteins.settings import SAMPLE_FOLDER, ProteinsSettings
from opengenome_assets.proteins.tables import PROTEIN_FILES
from opengenome_assets.settings import local_home
from opengenome_assets.storage.record import digest
from opengenome_assets.storage.tables import Home


class ProteinFilesConfig(dg.Config):
    """Run config of protein_files."""

    source: str | None = Field(
        default=None,
        description="Files and folders of proteins and assemblies, separated by commas, or 'sample'. Default: "
        "OPENGENOME_PROTEINS.",
    )


def define(settings: ProteinsSettings) -> list[Member]:
    """Return the catalogue."""
    return [files_asset(settings.source)]


def files_asset(default: str) -> dg.AssetsDefinition:
    """Return the asset protein_files, which lists the source of the run config, or of ``default``."""

    @dg.multi_asset(pool=HOME_POOL, name=PROTEIN_FILES.name, specs=[asset_spec(PROTEIN_FILES, [])])
    def protein_files(
        context: dg.AssetExecutionContext, config: ProteinFilesConfig, home: dg.ResourceParam[Home]
    ) -> dg.MaterializeResult[Any]:
        making = Making(context, __name__)
        source = config.source or default
        try:
            listing = list_source(source, KIND, sample=SAMPLE_FOLDER)
            skipped = [name for name in listing.skipped if os.path.basename(name) != SHEET]
            for name in skipped:
                context.log.warning(f"left out, no FASTA ending: {name}")
            archives = [file for file in listing.files if is_archive_name(file.path)]
            for file in archives:
                context.log.warning(f"left out, an archive: {file.path}. Unpack it: each accession has its own file")
            files = [file for file in listing.files if file not in archives]
            if not files:
                raise SourceError(f"{source}: only archives. Unpack them: each accession has its own file")
            stored = fetch([file.remote for file in files if file.remote], home.uri, context.log.info)
        except SourceError as error:
            raise dg.Failure(str(error), allow_retries=False) from error
        except RemoteError as error:
            raise dg.Failure(str(error), allow_retries=error.passing) from error
        local = [file for file in files if file.remote is None]
        memory = str(local_home(home.uri) / "raw" / "protein_checksums.json")
        sha256, hashed = take_checksums(local, memory)
        sha256.update((file.file.url, file.sha256) for file in stored)
        addresses = {file.file.url: str(file.path) for file in stored}
        rows = []
        owners: dict[tuple[str, str], str] = {}
        for file in files:
            accession, kind = accession_and_kind(file.path)
            if (first := owners.setdefault((accession, kind), file.uri)) != file.uri:
                raise dg.Failure(
                    f"{first} and {file.uri} are both the {kind} of the accession {accession}. Rename one of them, or "
                    "name the folders to use in OPENGENOME_PROTEINS",
                    allow_retries=False,
                )
            rows.append(
                {
                    "source": file.source,
                    "path": file.path,
                    "bytes": file.size,
                    "sha256": sha256[file.uri],
                    "uri": addresses.get(file.uri, file.uri),
                    "revision": file.revision,
                    "accession": accession,
                    "kind": kind,
                }
            )
        table = pa.Table.from_pylist(rows, schema=PROTEIN_FILES.schema)
        provenance = making.recorded(catalogue_record(PROTEIN_FILES, table))
        provenance = provenance.model_copy(update={"specification": source})
        commit = home.table(PROTEIN_FILES).write(table, provenance, key=digest(rows))
        facts = {
            "source": source,
            "files": len(files),
            "files_reused": len(files) - len(hashed) - sum(file.fetched > 0 for file in stored),
            "accessions": len({accession for accession, _ in owners}),
            "files_left_out": [*skipped, *(file.path for file in archives)][:100],
        }
        return making.result(PROTEIN_FILES, commit, provenance, facts)

    return protein_files
