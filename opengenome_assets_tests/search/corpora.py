"""Small corpora with an index, made by the platform's own passes without Dagster and Spark."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from opengenome_assets.corpus.passes.parse import SHARDS_SCHEMA, ParseSettings, ParseTask, parse_file
from opengenome_assets.corpus.passes.profiles import INDEX_SCHEMA, TERMS_SCHEMA, profile_sequences
from opengenome_assets.framework.scans import list_shards
from opengenome_assets.framework.shards import Output, ScanTask, run_scan
from opengenome_assets.intake.streams import StoredFile
from opengenome_assets.storage.parts import Part
from opengenome_assets.storage.record import Input, Provenance, digest
from opengenome_assets.storage.tables import Home

SETTINGS = ParseSettings(
    min_length=0,
    drop_ambiguous=False,
    first_records=None,
    compression="zstd",
    max_records_per_shard=100_000,
    max_bases_per_shard=2**27,
)


def fasta(sequences: Mapping[str, str]) -> str:
    """Write sequences by their headers."""
    return "".join(f">{header}\n{sequence}\n" for header, sequence in sequences.items())


def make_corpus(home: Path, files: Mapping[str, str]) -> Home:
    """Make sequence_shards, tfidf_index and tfidf_terms, or a next version of them, from FASTA by path.

    The folder of a path is its source.
    """
    tables = Home(str(home))
    shards = [_parse(tables, home / "fasta", path, text.encode()) for path, text in files.items()]
    content = {"files": sorted(part.key for part in shards)}
    made = Provenance(name="sequence_shards", code_version="1", settings=content)
    made = made.model_copy(update={"corpus": made.data_version})
    commit = tables.table("sequence_shards").commit(SHARDS_SCHEMA, shards, made)
    outputs = {"tfidf_index": INDEX_SCHEMA, "tfidf_terms": TERMS_SCHEMA}
    to = tuple(Output(tables.table(name).uri, schema) for name, schema in outputs.items())
    parts = [
        run_scan(ScanTask(profile_sequences, shard, digest(shard.name), to))
        for shard in list_shards(tables, commit.version)
    ]
    given = Input(version=commit.version, data_version=made.data_version)
    for place, (name, schema) in enumerate(outputs.items()):
        record = Provenance(name=name, code_version="1", inputs={"sequence_shards": given}, corpus=made.data_version)
        tables.table(name).commit(schema, [part[place] for part in parts], record)
    return tables


def _parse(tables: Home, folder: Path, path: str, content: bytes) -> Part:
    file = folder / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    sha256 = hashlib.sha256(content).hexdigest()
    parsed = parse_file(
        ParseTask(
            source=file.parent.name,
            path=path,
            files=(StoredFile(path, str(file), sha256),),
            key=digest([path, sha256]),
            shards_uri=tables.table("sequence_shards").uri,
            rejected_uri=tables.table("rejected_records").uri,
            settings=SETTINGS,
        )
    )
    assert parsed.shards, parsed.error
    return parsed.shards
