"""raw_reads: the catalogue of the samples' read files.

Belongs here: one row per file with the SHA-256 of its bytes, and the sample and lane that the sheet gives it. Does not
belong here: reading the sheet (``sheet.py``), hashing (``intake/verification.py``), and the reads themselves.
"""

from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa
from pydantic import Field

from opengenome_assets import __version__
from opengenome_assets.framework.assets import HOME_POOL, asset_spec
from opengenome_assets.framework.catalogues import catalogue_record
from opengenome_assets.framework.group import Member
from opengenome_assets.framework.making import Making
from opengenome_assets.intake.hub.request import RemoteError
from opengenome_assets.intake.kinds import ALIGNED, FASTQ
from opengenome_assets.intake.sources import SourceError, SourceFile, list_source
from opengenome_assets.intake.verification import fetch, take_checksums
from opengenome_assets.settings import local_home
from opengenome_assets.storage.record import digest
from opengenome_assets.storage.tables import Home
from opengenome_assets.variants.settings import SAMPLE, SAMPLE_FOLDER, VariantsSettings
from opengenome_assets.variants.sheet import Lane, SheetError, read_sheet
from opengenome_assets.variants.tables import RAW_READS


class RawReadsConfig(dg.Config):
    """Run config of raw_reads."""

    samples: str | None = Field(
        default=None,
        description="The sample sheet: a CSV file, or 'sample'. Default: the environment variable OPENGENOME_SAMPLES.",
    )


def define(settings: VariantsSettings) -> list[Member]:
    """Return the catalogue."""
    return [catalogue_asset(settings.samples)]


def catalogue_asset(default: str) -> dg.AssetsDefinition:
    """Return the asset raw_reads, which reads the sheet ``default`` unless its run config names another."""

    @dg.multi_asset(pool=HOME_POOL, name=RAW_READS.name, specs=[asset_spec(RAW_READS, [])])
    def raw_reads(
        context: dg.AssetExecutionContext, config: RawReadsConfig, home: dg.ResourceParam[Home]
    ) -> dg.MaterializeResult[Any]:
        making = Making(context, __name__)
        sheet = config.samples or default
        try:
            lanes = read_sheet(sheet_path(sheet))
            listed = [(lane, place) for lane in lanes for place in range(len(lane.files))]
            files = [found(lane, place) for lane, place in listed]
            stored = fetch([file.remote for file in files if file.remote], home.uri, context.log.info)
        except (SheetError, SourceError) as error:
            raise dg.Failure(str(error), allow_retries=False) from error
        except RemoteError as error:
            raise dg.Failure(str(error), allow_retries=error.passing) from error
        addresses = {file.file.url: str(file.path) for file in stored}
        memory = str(local_home(home.uri) / "raw" / "checksums.json")
        sha256, hashed = take_checksums([file for file in files if file.remote is None], memory)
        sha256.update((file.file.url, file.sha256) for file in stored)
        rows = [
            {
                "source": lane.sample,
                "path": file.path,
                "bytes": file.size,
                "sha256": sha256[file.uri],
                "uri": addresses.get(file.uri, file.uri),
                "revision": file.revision,
                "patient": lane.patient,
                "sex": lane.sex,
                "lane": lane.lane,
                "mate": 1 + place if len(lane.files) == 2 else 0,
            }
            for (lane, place), file in zip(listed, files, strict=True)
        ]
        refuse_copies(rows)
        table = pa.Table.from_pylist(rows, schema=RAW_READS.schema)
        record = catalogue_record(RAW_READS, table)
        who = digest(table.select(["source", "patient", "sex", "lane", "mate"]).to_pylist())
        provenance = making.recorded(record.model_copy(update={"settings": {**record.settings, "sheet": who}}))
        commit = home.table(RAW_READS).write(table, provenance, key=digest(rows))
        facts = {
            "sheet": sheet,
            "samples": len({lane.sample for lane in lanes}),
            "files": len(files),
            "bytes": sum(file.size for file in files),
            "bytes_hashed": sum(hashed),
        }
        return making.result(RAW_READS, commit, provenance, facts)

    return raw_reads


def sheet_path(sheet: str) -> Path:
    """Return the path of a sheet; that of the shipped one for ``sample``."""
    return SAMPLE_FOLDER / "samples.csv" if sheet == SAMPLE else Path(sheet).expanduser().absolute()


def found(lane: Lane, place: int) -> SourceFile:
    """Return a file of a lane.

    Raises
    ------
    SourceError
        If there is no such file, or it cannot be read.
    """
    address, named, column = lane.files[place], lane.named[place], lane.columns[place]
    where = f"line {lane.line} of the sample sheet, {column}"
    if "://" in address:
        try:
            (file,) = list_source(address, ALIGNED if len(lane.files) == 1 else FASTQ).files
        except ValueError as error:
            raise SourceError(f"{where}: {address}: {error}") from error
        return file
    try:
        with open(address, "rb") as stream:
            stream.read(1)
        size = Path(address).stat().st_size
    except OSError as error:
        raise SourceError(
            f"{where}: {address}: {error.strerror or error}. Paths are relative to the folder of the sheet"
        ) from error
    shipped = Path(address).parent == SAMPLE_FOLDER
    return SourceFile(lane.sample, named, address, size, f"sample-{__version__}" if shipped else "")


def refuse_copies(rows: list[dict[str, Any]]) -> None:
    """Refuse the same bytes twice, whose reads would count twice.

    Raises
    ------
    dagster.Failure
        The message names both files.
    """
    first: dict[str, dict[str, Any]] = {}
    for row in rows:
        before = first.setdefault(row["sha256"], row)
        if before is not row:
            raise dg.Failure(
                f"{row['path']} (sample {row['source']}, lane {row['lane']}) holds the same bytes as {before['path']} "
                f"(sample {before['source']}, lane {before['lane']}): its reads would count twice. Remove one of them "
                "from the sample sheet",
                allow_retries=False,
            )
