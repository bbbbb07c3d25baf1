"""raw_fasta: the catalogue of verified files.

Belongs here: one row a FASTA file with the SHA-256 of its bytes, which is the file's identity everywhere after this.
Does not belong here: finding files (``intake/sources.py``) and looking into them (``sequence_shards``).
"""

import json
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from hashlib import file_digest
from pathlib import Path
from typing import Any
from urllib.parse import quote

import dagster as dg
import pyarrow as pa
from pydantic import Field

from opengenome_assets.corpus import GROUP
from opengenome_assets.framework.making import Making, table_result
from opengenome_assets.intake.hub.download import RemoteFile
from opengenome_assets.intake.hub.request import RemoteError
from opengenome_assets.intake.hub.store import Store, Stored
from opengenome_assets.intake.sources import SourceError, SourceFile, list_source
from opengenome_assets.settings import Settings, local_home
from opengenome_assets.storage.columns import column
from opengenome_assets.storage.files import read_bytes, write_bytes
from opengenome_assets.storage.record import Provenance, digest
from opengenome_assets.storage.tables import Tables, describe

CODE_VERSION = "1"

SCHEMA = pa.schema(
    [
        column("source", pa.string(), "Division of the corpus: the file's folder, or its own name without endings"),
        column("path", pa.string(), "Path below what was named as source"),
        column("bytes", pa.int64(), "Size as stored, compressed if the file is"),
        column("sha256", pa.string(), "SHA-256 of the bytes as stored, 64 hexadecimal digits"),
        column("uri", pa.string(), "Where the file lies"),
        column("revision", pa.string(), "Version of the collection it comes from; empty if that has none"),
    ]
)

# A file that has just been changed can change again within the clock's tick: do not trust stamps that young.
YOUNG_NANOSECONDS = 2_000_000_000


class RawFastaConfig(dg.Config):
    """Run config of raw_fasta."""

    source: str | None = Field(
        default=None,
        description="Where FASTA comes from: 'sample', or files, folders and places on the Hub "
        "(hf://datasets/OWNER/NAME[@REVISION]/PATH-OR-GLOB), separated by commas. "
        "Default: the environment variable OPENGENOME_SOURCE.",
    )


class Checksums:
    """SHA-256 of files, remembered by their size and time stamps, so that unchanged files are not read again.

    Parameters
    ----------
    uri
        The JSON file that keeps them.
    """

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self.known: dict[str, list[Any]] = json.loads(read_bytes(uri) or b"{}")

    def remembered(self, uri: str) -> str | None:
        """Return the checksum of a file that has not changed since it was taken."""
        *stamp, sha256 = self.known.get(uri, [None])
        return sha256 if stamp == _stamp(Path(uri)) else None

    def take(self, uri: str) -> str:
        """Read a file and return its checksum."""
        stamp, now = _stamp(Path(uri)), time.time_ns()
        with open(uri, "rb") as stream:
            sha256 = file_digest(stream, "sha256").hexdigest()
        if stamp[2] < now - YOUNG_NANOSECONDS:
            self.known[uri] = [*stamp, sha256]
        return sha256

    def save(self) -> None:
        """Keep what is known for the next time."""
        write_bytes(self.uri, json.dumps(self.known, indent=0).encode())


def _stamp(file: Path) -> list[int]:
    # The second time is that of the last change of anything about the file, which nobody can set back.
    stat = file.stat()
    return [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns]


@dg.asset(
    group_name=GROUP,
    code_version=CODE_VERSION,
    kinds={"deltalake", "fasta"},
    metadata={"dagster/column_schema": describe(SCHEMA)},
    description="Catalogue of the corpus' FASTA files, each known by the SHA-256 of its bytes. Names of folders are "
    "names of sources. A file that cannot be read stops here, before any work.",
)
def raw_fasta(context: dg.AssetExecutionContext, config: RawFastaConfig, tables: Tables) -> dg.MaterializeResult[Any]:
    """List and hash the files of the source."""
    making = Making(context, __name__)
    source = config.source or Settings.from_environment().source
    try:
        listing = list_source(source)
        for name in listing.skipped:
            context.log.warning(f"left out, no FASTA ending: {name}")
        stored = fetch([file.remote for file in listing.files if file.remote], tables.home, context.log.info)
    except SourceError as error:
        raise dg.Failure(str(error), allow_retries=False) from error
    except RemoteError as error:
        raise dg.Failure(str(error), allow_retries=error.passing) from error
    fetched = {file.file.url: file for file in stored}
    local = [file for file in listing.files if file.remote is None]
    sha256, hashed = take_checksums(local, str(local_home(tables.home) / "raw" / "checksums.json"))
    sha256.update((url, file.sha256) for url, file in fetched.items())
    addresses = {url: str(file.path) for url, file in fetched.items()}

    copies = same_content(listing.files, sha256)
    for names in copies:
        context.log.warning(f"the same content stands in {len(names)} files and is counted in each: {', '.join(names)}")

    rows = catalogue(listing.files, sha256, addresses)
    provenance = making.recorded(catalogue_record(rows))
    # A moved folder or a new revision of the same files changes no result, but the catalogue has to say it.
    commit = tables.write("raw_fasta", rows, provenance, key=digest(rows.to_pylist()))
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
    return table_result(
        commit,
        provenance,
        making,
        source=source,
        sources=sorted({file.source for file in listing.files}),
        files=len(listing.files),
        files_reused=len(listing.files) - new,
        bytes=sum(file.size for file in listing.files),
        **oddities,
        **transferred(stored, {file.revision for file in listing.files if file.remote}, making),
        catalogue=dg.MetadataValue.md(_markdown(listing.files, sha256)),
    )


def fetch(files: Sequence[RemoteFile], home: str, log: Callable[[str], None]) -> list[Stored]:
    """Fetch files from the Hub into the store below a home, those that are not there.

    Raises
    ------
    RemoteError
        If a file cannot be had.
    """
    if not files:
        return []
    from opengenome_assets.intake.hub.listing import Hub  # late: the Hub's client takes a while to import

    return Store(local_home(home) / "raw").fetch(files, access=Hub().access, log=log)


def take_checksums(files: Sequence[SourceFile], memory: str) -> tuple[dict[str, str], list[int]]:
    """Return the SHA-256 of local files by address, and the sizes of those that had to be read for it."""
    checksums = Checksums(memory)
    known = {file.uri: checksums.remembered(file.uri) for file in files}
    new = [file for file in files if known[file.uri] is None]
    sha256 = {uri: value for uri, value in known.items() if value}
    try:
        with ThreadPoolExecutor() as threads:
            sha256.update(zip((f.uri for f in new), threads.map(lambda f: checksums.take(f.uri), new), strict=True))
    finally:
        if new:
            checksums.save()
    return sha256, [file.size for file in new]


def same_content(files: Sequence[SourceFile], sha256: Mapping[str, str]) -> list[list[str]]:
    """Return the groups of files that hold the same bytes."""
    groups: dict[str, list[str]] = {}
    for file in files:
        groups.setdefault(sha256[file.uri], []).append(f"{file.source}: {file.path}")
    return [names for names in groups.values() if len(names) > 1]


def transferred(stored: Sequence[Stored], commits: Collection[str], making: Making) -> dict[str, Any]:
    """Return what the UI shows of a transfer; nothing if there was none to make."""
    if not stored:
        return {}
    received = sum(file.fetched for file in stored)
    seconds = max(making.seconds, 0.01)  # rounded to hundredths
    return {
        "commits": sorted(commits),
        "bytes_fetched": received,
        "bytes_reused": sum(file.reused for file in stored),
        "megabytes_per_second": round(received / 1e6 / seconds, 1),
    }


def catalogue(files: Sequence[SourceFile], sha256: Mapping[str, str], addresses: Mapping[str, str]) -> pa.Table:
    """Return the catalogue's rows: ``addresses`` says where files lie that were fetched."""
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
        schema=SCHEMA,
    )


def catalogue_record(rows: pa.Table) -> Provenance:
    """Return the record of a catalogue: which files of which source with which bytes make it what it is."""
    content = digest(rows.select(["source", "path", "sha256"]).to_pylist())
    return Provenance(name="raw_fasta", code_version=CODE_VERSION, settings={"files": content})


def _markdown(files: Sequence[SourceFile], sha256: Mapping[str, str], limit: int = 50) -> str:
    lines = ["| source | path | bytes | sha256 | address |", "|---|---|---:|---|---|"]
    for file in files[:limit]:
        name, address = (quote(text, safe="/ :._-") for text in (file.path, file.uri))
        lines.append(f"| {file.source} | {name} | {file.size:,} | `{sha256[file.uri][:16]}…` | {address} |")
    if len(files) > limit:
        lines.append(f"| … | {len(files) - limit:,} more | | | |")
    return "\n".join(lines)
