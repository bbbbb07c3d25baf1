"""raw_fasta: the catalogue of verified files.

Belongs here: one row per FASTA file with the SHA-256 of its bytes, which identifies the file everywhere downstream.
Does not belong here: finding files (``intake/sources.py``), hashing them (``intake/verification.py``), and parsing
them (``sequence_shards``).
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import dagster as dg
import pyarrow as pa
from pydantic import Field

from opengenome_assets.corpus.settings import SAMPLE_FOLDER, CorpusSettings
from opengenome_assets.corpus.sources import source_of, to_remember
from opengenome_assets.corpus.tables import RAW_FASTA
from opengenome_assets.framework.assets import HOME_POOL, asset_spec
from opengenome_assets.framework.catalogues import catalogue_record
from opengenome_assets.framework.group import Member
from opengenome_assets.framework.making import Making, table_of
from opengenome_assets.intake.hub.request import RemoteError
from opengenome_assets.intake.hub.store import Stored
from opengenome_assets.intake.kinds import FASTA
from opengenome_assets.intake.sources import SourceError, SourceFile, list_source
from opengenome_assets.intake.verification import fetch, take_checksums
from opengenome_assets.settings import local_home
from opengenome_assets.storage.record import digest
from opengenome_assets.storage.tables import Home

SHOWN = 50


def define(settings: CorpusSettings) -> list[Member]:
    """Return the catalogue."""
    return [catalogue_asset(settings.source)]


class RawFastaConfig(dg.Config):
    """Run config of raw_fasta."""

    source: str | None = Field(
        default=None,
        description="Where FASTA comes from: 'sample', or files, folders and places on the Hub "
        "(hf://datasets/OWNER/NAME[@REVISION]/PATH-OR-GLOB), separated by commas. "
        "Default: the environment variable OPENGENOME_SOURCE, else the source that the home remembers.",
    )


def catalogue_asset(default: str | None) -> dg.AssetsDefinition:
    """Return the asset raw_fasta, which lists the source of the run config, of ``default``, or of the home."""

    @dg.multi_asset(pool=HOME_POOL, name=RAW_FASTA.name, specs=[asset_spec(RAW_FASTA, [])])
    def raw_fasta(
        context: dg.AssetExecutionContext, config: RawFastaConfig, home: dg.ResourceParam[Home]
    ) -> dg.MaterializeResult[Any]:
        making = Making(context, __name__)
        try:
            before = source_of(home, None) if home.table(RAW_FASTA).exists() else ""
        except SourceError:  # from a version that did not remember
            before = ""
        try:
            source = source_of(home, config.source or default)
            # A run config may pin a revision of the source that is followed, as the sensor's does.
            remembered = to_remember(source, (default or before) if config.source else "")
            if before and remembered != before:
                context.log.warning(
                    f"this home holds the corpus of {before}; from here on it is that of {remembered}, as named. "
                    "The tables of before stay as versions. To keep both, give each a home: OPENGENOME_HOME"
                )
            listing = list_source(source, FASTA, sample=SAMPLE_FOLDER)
            for name in listing.skipped:
                context.log.warning(f"left out, no FASTA ending: {name}")
            stored = fetch([file.remote for file in listing.files if file.remote], home.uri, context.log.info)
        except SourceError as error:
            raise dg.Failure(str(error), allow_retries=False) from error
        except RemoteError as error:
            raise dg.Failure(str(error), allow_retries=error.passing) from error
        fetched = {file.file.url: file for file in stored}
        local = [file for file in listing.files if file.remote is None]
        sha256, hashed = take_checksums(local, str(local_home(home.uri) / "raw" / "checksums.json"))
        sha256.update((url, file.sha256) for url, file in fetched.items())
        addresses = {url: str(file.path) for url, file in fetched.items()}

        copies = same_content(listing.files, sha256)
        for names in copies:
            context.log.warning(f"the same content is in {len(names)} files and is counted in each: {', '.join(names)}")

        rows = catalogue(listing.files, sha256, addresses)
        provenance = making.recorded(catalogue_record(RAW_FASTA, rows))
        provenance = provenance.model_copy(update={"specification": remembered})
        # A moved folder or a new revision of the same files changes no result, but the catalogue must say it.
        commit = home.table(RAW_FASTA).write(rows, provenance, key=digest(rows.to_pylist()))
        new = len(hashed) + sum(file.fetched > 0 for file in stored)
        context.log.info(
            f"{len(listing.files):,} files of {source}; {len(hashed):,} hashed, {sum(hashed):,} bytes; "
            f"{sum(file.fetched for file in stored):,} bytes fetched"
        )
        oddities: dict[str, Any] = {}
        if listing.skipped:
            oddities["files_left_out"] = list(listing.skipped[:100])
        if copies:
            oddities["same_content"] = copies[:100]
        facts = dict(
            source=source,
            sources=sorted({file.source for file in listing.files}),
            files=len(listing.files),
            files_reused=len(listing.files) - new,
            bytes=sum(file.size for file in listing.files),
            **oddities,
            **transferred(stored, {file.revision for file in listing.files if file.remote}, making),
            catalogue=_listed(listing.files, sha256),
        )
        return making.result(RAW_FASTA, commit, provenance, facts)

    return raw_fasta


def same_content(files: Sequence[SourceFile], sha256: Mapping[str, str]) -> list[list[str]]:
    """Return the groups of files that hold the same bytes."""
    groups: dict[str, list[str]] = {}
    for file in files:
        groups.setdefault(sha256[file.uri], []).append(f"{file.source}: {file.path}")
    return [names for names in groups.values() if len(names) > 1]


def transferred(stored: Sequence[Stored], commits: Collection[str], making: Making) -> dict[str, Any]:
    """Return the facts of a transfer for the UI; nothing if there was none."""
    if not stored:
        return {}
    received = sum(file.fetched for file in stored)
    seconds = max(making.seconds, 0.01)  # rounded to hundredths of a second
    return {
        "commits": sorted(commits),
        "bytes_fetched": received,
        "bytes_reused": sum(file.reused for file in stored),
        "megabytes_per_second": round(received / 1e6 / seconds, 1),
    }


def catalogue(files: Sequence[SourceFile], sha256: Mapping[str, str], addresses: Mapping[str, str]) -> pa.Table:
    """Return the catalogue's rows; ``addresses`` has the places of fetched files."""
    return pa.Table.from_pylist(
        [
            {
                "source": file.source,
                "path": file.path,
                "bytes": file.size,
                "sha256": sha256[file.uri],
                "uri": addresses.get(file.uri, file.uri),
                "revision": file.revision,
            }
            for file in files
        ],
        schema=RAW_FASTA.schema,
    )


def _listed(files: Sequence[SourceFile], sha256: Mapping[str, str]) -> dg.TableMetadataValue:
    """Return the first files as a table for the UI."""
    rows = [(file.source, file.path, file.size, f"{sha256[file.uri][:16]}…", file.uri) for file in files[:SHOWN]]
    return table_of(("source", "path", "bytes", "sha256", "address"), rows)
