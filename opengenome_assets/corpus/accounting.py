"""Accounting for the corpus: every file and every record of the catalogue is a row, or is named as left out.

Belongs here: the rules that compare the tables with the catalogue and with the parser's counts. Does not belong here:
rules of single rows (``sequence_shards.py``), and parsing.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from opengenome_assets.corpus.passes.parse import ParseSettings
from opengenome_assets.corpus.tables import RAW_FASTA, SEQUENCE_SHARDS
from opengenome_assets.corpus.units import parse_task
from opengenome_assets.framework.checks import rule
from opengenome_assets.framework.parsing import UNUSABLE
from opengenome_assets.intake.kinds import COMPRESSION_ENDINGS
from opengenome_assets.intake.streams import StoredFile
from opengenome_assets.storage.packs import PartIndex
from opengenome_assets.storage.parts import Part
from opengenome_assets.storage.snapshot import Snapshot
from opengenome_assets.storage.tables import Home


@rule(
    SEQUENCE_SHARDS,
    "Every header line of every file, counted without the parser, is a row, a refused record or left out by a setting; "
    "and the table has the accepted rows",
)
def record_count(home: Home) -> Iterator[str]:
    """Compare the parser's count of each file with the stream's count of header lines, and with the table."""
    shards = home.table(SEQUENCE_SHARDS).at()
    parts = PartIndex(shards.uri).find_all(shards.parts)
    for key, files in shards.parts.items():
        part, count = parts.get(key), sum(file.rows for file in files)
        if part is None:
            yield f"{shards.uri}/{key}: files of the table are missing or were cut; materialise sequence_shards again"
            continue
        facts = part.facts
        accounted = sum(facts[name] for name in ("accepted", "rejected", "too_short", "ambiguous"))
        if facts["header_lines"] not in (None, facts["records"]):  # None: only the first records were read
            yield f"{facts['file']}: {facts['header_lines']:,} header lines, but {facts['records']:,} records parsed"
        if accounted != facts["records"]:
            yield f"{facts['file']}: {facts['records']:,} records, but {accounted:,} accounted for"
        if count != facts["accepted"]:
            yield f"{facts['file']}: {facts['accepted']:,} records accepted, but {count:,} rows in the table"


@rule(
    SEQUENCE_SHARDS,
    "Every file that raw_fasta lists was parsed, once, or is named as one that cannot be used: by source, path and "
    "checksum, as the parts of the table name the bytes that were read",
)
def every_file(home: Home) -> Iterator[str]:
    """Compare the files of the catalogue with those that the table's parts say that they were read from.

    The plan of the parsing has no part in it: a file that it forgot is found.
    """
    shards = home.table(SEQUENCE_SHARDS).at()
    catalogue = home.table(RAW_FASTA).at(shards.provenance.inputs[RAW_FASTA.name].version).read().to_pylist()
    index = PartIndex(shards.uri)
    parsed: Counter[tuple[str, str, str]] = Counter()  # source, path of the unit, SHA-256 of a stored file
    for part in index.find_all(shards.parts).values():  # a missing part is named by record_count
        parsed.update(_read_from(part))
    left_out = {(row["source"], row["file"]) for row in shards.provenance.settings.get(UNUSABLE, [])}
    listed: dict[tuple[str, str, str], list[str]] = {}
    for row in catalogue:
        # A piece of a cut file stands in the parts under the path of the whole.
        stem, _, ending = row["path"].rpartition(".")
        own, piece = ((row["source"], path, row["sha256"]) for path in (row["path"], stem))
        file = piece if piece in parsed else own
        unusable = own[:2] in left_out or (piece[:2] in left_out and f".{ending}" not in COMPRESSION_ENDINGS)
        if file in parsed or not unusable:
            listed.setdefault(file, []).append(row["path"])
    barren = _barren(home, shards, index, {file: paths for file, paths in listed.items() if file not in parsed})
    for file in sorted({*listed, *parsed}):
        source, path, sha256 = file
        expected, found = len(listed.get(file, ())), parsed[file] + barren[file]
        if expected != found:
            yield (
                f"{source}: {path} (sha256 {sha256[:16]}…) is listed {expected:,} times in {RAW_FASTA.name}, but was "
                f"parsed {found:,} times; materialise sequence_shards again"
            )


def _read_from(part: Part) -> Iterator[tuple[str, str, str]]:
    """Yield source, path and SHA-256 of each stored file that a part was read from."""
    sha256 = part.facts["sha256"]
    for each in [sha256] if isinstance(sha256, str) else sha256:
        yield part.facts["source"], part.facts["file"], each


def _barren(
    home: Home, shards: Snapshot, index: PartIndex, files: Mapping[tuple[str, str, str], Sequence[str]]
) -> Counter[tuple[str, str, str]]:
    """Count the files whose unit was parsed and gave no sequence: no file of the table names them, only a part."""
    recorded = shards.provenance.settings
    settings = ParseSettings(**{name: recorded[name] for name in ParseSettings.__dataclass_fields__})
    found: Counter[tuple[str, str, str]] = Counter()
    cut: dict[tuple[str, str], list[StoredFile]] = {}
    for (source, path, sha256), _ in files.items():
        file = StoredFile(path, "", sha256)
        part = index.find(parse_task(home, source, path, (file,), settings).shards_key)
        if part and not part.facts["accepted"]:
            found.update(_read_from(part))
        cut.setdefault((source, path.rpartition(".")[0]), []).append(file)
    for (source, path), pieces in cut.items():
        ordered = tuple(sorted(pieces, key=lambda file: file.path))
        part = index.find(parse_task(home, source, path, ordered, settings).shards_key)
        if part and not part.facts["accepted"]:
            found.update((source, file.path, file.sha256 or "") for file in ordered)
    return found
