"""Units of the corpus, each a file or the pieces of one: their parsing tasks, and the results that exist.

Belongs here: which units a catalogue has, the keys of their parts, and finding those parts. Does not belong here:
parsing (``passes/parse.py``), and publishing (``sequence_shards.py``).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from opengenome_assets.corpus.passes.parse import ParseSettings, ParseTask
from opengenome_assets.corpus.tables import REJECTED_RECORDS, SEQUENCE_SHARDS
from opengenome_assets.framework.parsing import Parsed
from opengenome_assets.framework.table import TableSpec
from opengenome_assets.intake.containers import ContainerError, units
from opengenome_assets.intake.kinds import FASTA
from opengenome_assets.intake.streams import StoredFile
from opengenome_assets.storage.parts import Part, write_part
from opengenome_assets.storage.record import digest
from opengenome_assets.storage.tables import Home


def parse_tasks(home: Home, catalogue: Sequence[Mapping[str, Any]], settings: ParseSettings) -> list[ParseTask]:
    """Return one task per unit of the catalogue.

    Raises
    ------
    ContainerError
        If a part of a file is missing, or two files have the same source and path.
    """
    by_source: dict[str, dict[str, StoredFile]] = {}
    for row in catalogue:
        file, others = StoredFile(row["path"], row["uri"], row["sha256"]), by_source.setdefault(row["source"], {})
        if file.path in others:
            raise ContainerError(
                f"{others[file.path].uri} and {file.uri} are both the file {file.path} of the source {row['source']}: "
                "rename one of them"
            )
        others[file.path] = file
    return [
        parse_task(home, source, path, tuple(files[part] for part in parts), settings)
        for source, files in by_source.items()
        for path, parts in units(files, FASTA).items()
    ]


def parse_task(home: Home, source: str, path: str, files: tuple[StoredFile, ...], settings: ParseSettings) -> ParseTask:
    """Return the task of a unit, with the keys of its parts."""
    sha256 = [file.sha256 for file in files]
    # The same bytes cut elsewhere are another unit: only the checksums of the parts are known.
    content = sha256[0] if files[0].path == path else sha256

    def key(spec: TableSpec) -> str:
        return digest([spec.code_version, source, path, content, asdict(settings)])

    return ParseTask(
        source=source,
        path=path,
        files=files,
        shards_key=key(SEQUENCE_SHARDS),
        rejected_key=key(REJECTED_RECORDS),
        shards_uri=home.table(SEQUENCE_SHARDS).uri,
        rejected_uri=home.table(REJECTED_RECORDS).uri,
        settings=settings,
    )


def find_parsed(home: Home, tasks: Iterable[ParseTask]) -> list[Parsed | None]:
    """Return for each task the result of an earlier run on the same bytes with the same settings, or None."""
    tasks = list(tasks)
    shards = home.table(SEQUENCE_SHARDS).parts().find_all(task.shards_key for task in tasks)
    rejected = home.table(REJECTED_RECORDS).parts().find_all(task.rejected_key for task in tasks)
    return [_find_parsed(shards, rejected, task) for task in tasks]


def _find_parsed(shards: Mapping[str, Part], rejected: Mapping[str, Part], task: ParseTask) -> Parsed | None:
    part = shards.get(task.shards_key)
    if part is None:
        return None
    refused = rejected.get(task.rejected_key)
    if refused is None and part.facts["rejected"] == 0:  # a unit without refused records misses no row
        empty = REJECTED_RECORDS.schema.empty_table()
        refused = write_part(task.rejected_uri, task.rejected_key, empty, **_facts_of(part))
    return Parsed(part, refused) if refused else None


def _facts_of(part: Part) -> dict[str, Any]:
    return {name: fact for name, fact in part.facts.items() if name != "shard_bases"}
