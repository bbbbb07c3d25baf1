"""Small corpora with an index, made by the platform's own passes without Dagster and Spark."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from opengenome_assets.corpus.passes.parse import ParseSettings, ParseTask, parse_file
from opengenome_assets.corpus.passes.profiles import profile_sequences
from opengenome_assets.corpus.tables import REJECTED_RECORDS, SEQUENCE_SHARDS, TFIDF_INDEX, TFIDF_TERMS
from opengenome_assets.framework.scans import list_shards
from opengenome_assets.framework.shards import Output, ScanTask, part_key, run_scan
from opengenome_assets.intake.streams import StoredFile
from opengenome_assets.storage.parts import Part
from opengenome_assets.storage.record import Provenance, digest
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
    made = Home(str(home))
    shards = [_parse(made, home / "fasta", path, text.encode()) for path, text in files.items()]
    content = {"files": sorted(part.key for part in shards)}
    record = Provenance(name=SEQUENCE_SHARDS.name, code_version="1", settings=content)
    record = record.model_copy(update={"corpus": record.data_version})
    made.table(SEQUENCE_SHARDS).commit(SEQUENCE_SHARDS.schema, shards, record)
    snapshot = made.table(SEQUENCE_SHARDS).at()
    outputs = (TFIDF_INDEX, TFIDF_TERMS)
    to = tuple(Output(made.table(spec).uri, spec.schema) for spec in outputs)
    parts = [
        run_scan(ScanTask(profile_sequences, shard, part_key([spec.name for spec in outputs], "1", {}, shard.name), to))
        for shard in list_shards(snapshot)
    ]
    for place, spec in enumerate(outputs):
        inputs = {SEQUENCE_SHARDS.name: snapshot.input}
        own = Provenance(name=spec.name, code_version="1", inputs=inputs, corpus=record.data_version)
        made.table(spec).commit(spec.schema, [part[place] for part in parts], own)
    return made


def _parse(home: Home, folder: Path, path: str, content: bytes) -> Part:
    file = folder / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    sha256 = hashlib.sha256(content).hexdigest()
    parsed = parse_file(
        ParseTask(
            source=file.parent.name,
            path=path,
            files=(StoredFile(path, str(file), sha256),),
            shards_key=digest([path, sha256]),
            rejected_key=digest([path, sha256]),
            shards_uri=home.table(SEQUENCE_SHARDS).uri,
            rejected_uri=home.table(REJECTED_RECORDS).uri,
            settings=SETTINGS,
        )
    )
    assert parsed.accepted, parsed.error
    return parsed.accepted
