"""query_hits: the sequences most similar to each of many queries.

Belongs here: the files of the queries, dealing out the index and the hits to the engine's tasks, and merging. Does not
belong here: searching (``search/index.py``, ``search/containment.py``, sent to the workers by ``search/passes.py``).

It is not in the group ``corpus``, since it describes queries. Without queries it is not made. That is no failure if
other assets are selected too, so that "Materialize all" needs no queries.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from functools import partial
from heapq import heapreplace
from itertools import groupby
from typing import Any

import dagster as dg
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from opengenome_assets.corpus.tables import SEQUENCE_SHARDS, TFIDF_INDEX, TFIDF_TERMS
from opengenome_assets.engine import Engine
from opengenome_assets.framework.assets import HOME_POOL, asset_spec
from opengenome_assets.framework.checks import SHOWN, rule
from opengenome_assets.framework.group import Member
from opengenome_assets.framework.making import Making, table_of
from opengenome_assets.framework.summaries import Step, pinned
from opengenome_assets.intake.containers import ContainerError, units
from opengenome_assets.intake.hub.request import RemoteError
from opengenome_assets.intake.kinds import FASTA
from opengenome_assets.intake.sources import SourceError, list_source
from opengenome_assets.intake.streams import StoredFile, StreamError
from opengenome_assets.intake.verification import fetch, take_checksums
from opengenome_assets.kernels.tfidf import inverse_document_frequency, total_frequency
from opengenome_assets.search.options import CANDIDATES, Sort, Strand, candidates_of
from opengenome_assets.search.passes import (
    COMPARED,
    PART,
    ROW,
    ContainmentTask,
    HitOptions,
    PartHits,
    SearchTask,
    contain_hits,
    search_parts,
)
from opengenome_assets.search.queries import Query, sort_files
from opengenome_assets.search.settings import SearchSettings
from opengenome_assets.search.tables import NUMBER, QUERY_HITS
from opengenome_assets.settings import local_home
from opengenome_assets.storage.parts import write_part
from opengenome_assets.storage.snapshot import Snapshot
from opengenome_assets.storage.tables import Home

INPUTS = (TFIDF_INDEX, TFIDF_TERMS)

# Approximate number of sequences of a task, up to 70 MB: with fewer there is more to merge.
TASK_SEQUENCES = 8_192

# Approximate number of letters that a task reads to compare hits with their queries, less than a second of work.
TASK_BASES = 50_000_000

# Refused records that the log and the metadata name.
NAMED = 100

# Maximum number of hits merged at once, about a hundred bytes each: more queries are searched in several batches.
MERGED = 2_000_000


class QueryHitsConfig(dg.Config):
    """Run config of query_hits."""

    queries: str | None = Field(
        default=None,
        description="FASTA with the queries: files, folders and places on the Hub, as for the source of the corpus. "
        "Default: the environment variable OPENGENOME_QUERIES; without queries nothing is done.",
    )
    top_n: int = Field(default=10, ge=1, description="Maximum number of hits per query.")
    threshold: float = Field(default=0.0, ge=0, le=1, description="Smallest similarity of a hit.")
    source: str | None = Field(default=None, description="Search this source only.")
    strand: Strand = Field(
        default="both",
        description="both: compare the reverse complement of each query too; the more similar one counts. "
        "given: compare the query as given only.",
    )
    sort: Sort = Field(
        default="similarity",
        description="Order of the hits: similarity, or containment, for which "
        f"{CANDIDATES} times as many of the most similar sequences are compared.",
    )


def hits_asset(default: str) -> dg.AssetsDefinition:
    """Return the asset query_hits, which searches with ``default`` unless its run config names other queries."""

    @dg.multi_asset(
        pool=HOME_POOL, name=QUERY_HITS.name, specs=[asset_spec(QUERY_HITS, (SEQUENCE_SHARDS, *INPUTS), skippable=True)]
    )
    def query_hits(
        context: dg.AssetExecutionContext,
        config: QueryHitsConfig,
        home: dg.ResourceParam[Home],
        engine: dg.ResourceParam[Engine],
    ) -> Iterator[dg.MaterializeResult[Any]]:
        named = config.queries or default
        if not named:
            remedy = "no queries: name their FASTA files in OPENGENOME_QUERIES, or as `queries` in the run config"
            if context.job_def.asset_layer.selected_asset_keys == {context.asset_key}:
                raise dg.Failure(remedy, allow_retries=False)
            context.log.info(f"{remedy}; query_hits is not made")
            return
        options = HitOptions(config.top_n, config.threshold, config.source, config.strand, config.sort)
        yield make(context, home, engine, named, options)

    return query_hits


def make(
    context: dg.AssetExecutionContext, home: Home, engine: Engine, named: str, options: HitOptions
) -> dg.MaterializeResult[Any]:
    """Search with every query of the named files, unless the same search was done before."""
    making = Making(context, __name__)
    try:
        files = query_files(named, home.uri, context.log.info)
        queries, refused = sort_files(units_of(files))
    except (ContainerError, SourceError, StreamError) as error:
        raise dg.Failure(str(error), allow_retries=False) from error
    except RemoteError as error:
        raise dg.Failure(str(error), allow_retries=error.passing) from error
    for each in refused[:NAMED]:
        context.log.warning(f"Not searched: {each}")
    if not queries:
        found = f"the first of {len(refused):,}: {refused[0]}" if refused else "there is no record"
        raise dg.Failure(f"no query can be searched with; {found}", allow_retries=False)
    snapshots = pinned(home, INPUTS)
    shards = snapshots[TFIDF_INDEX.name].provenance.inputs[SEQUENCE_SHARDS.name].version
    step = Step(home, {SEQUENCE_SHARDS.name: home.table(SEQUENCE_SHARDS).at(shards), **snapshots})
    checksums = {f"{source}: {file.path}": file.sha256 for source, file in files}
    settings = {**asdict(options), "queries": checksums}
    provenance = step.provenance(QUERY_HITS.name, QUERY_HITS.code_version, settings)
    table = home.table(QUERY_HITS)
    part = table.parts().find(provenance.data_version)
    if part is None:
        rows = search(context, engine, step, [each.query for each in queries], options)
        places = rows[NUMBER].to_numpy() - 1
        numbers = np.array([each.number for each in queries])[places]
        rows = rows.set_column(rows.column_names.index(NUMBER), QUERY_HITS.schema.field(NUMBER), pa.array(numbers))
        path = QUERY_HITS.schema.field(0)
        rows = rows.add_column(0, path, pa.array([each.file for each in queries], pa.string()).take(places))
        without = len(queries) - len(np.unique(numbers))
        part = write_part(table.uri, provenance.data_version, rows.cast(QUERY_HITS.schema), without=without)
    provenance = making.recorded(provenance)
    commit = table.commit(QUERY_HITS.schema, [part], provenance)
    facts: dict[str, Any] = {
        "queries": len(queries),
        "queries_without_hits": part.facts["without"],
        "queries_refused": len(refused),
        "query_files": checksums,
        "index_version": step[TFIDF_INDEX].version,
    }
    if refused:
        named_rows = ((each.given, each.record, each.line, each.reason) for each in refused[:NAMED])
        facts["first_refused"] = table_of(("file", "record", "line", "reason"), named_rows)
    return making.result(QUERY_HITS, commit, provenance, facts)


search_queries = dg.define_asset_job(
    "search_queries",
    selection=dg.AssetSelection.assets(QUERY_HITS.name),
    description="Search the corpus with sequences of FASTA files, which the run config or OPENGENOME_QUERIES names.",
)


def query_files(named: str, home: str, log: Callable[[str], None]) -> list[tuple[str, StoredFile]]:
    """Return the files that a specification names, on this machine and with their checksums, each with its source."""
    files = list_source(named, FASTA).files
    fetched = {each.file.url: each for each in fetch([file.remote for file in files if file.remote], home, log)}
    local = [file for file in files if file.remote is None]
    sha256, _ = take_checksums(local, str(local_home(home) / "raw" / "checksums.json"))
    stored = []
    for file in files:
        uri = str(fetched[file.uri].path) if file.remote else file.uri
        stored.append(
            (file.source, StoredFile(file.path, uri, fetched[file.uri].sha256 if file.remote else sha256[uri]))
        )
    return stored


def units_of(files: Iterable[tuple[str, StoredFile]]) -> Iterator[tuple[str, tuple[StoredFile, ...]]]:
    """Yield the units to read, a file or the parts of one, by path."""
    for _, run in groupby(files, key=lambda file: file[0]):
        by_path = {file.path: file for _, file in run}
        for path, parts in sorted(units(by_path, FASTA).items()):
            yield path, tuple(by_path[part] for part in parts)


def search(
    context: dg.AssetExecutionContext, engine: Engine, step: Step, queries: Sequence[Query], options: HitOptions
) -> pa.Table:
    """Search the pinned versions of the index and its terms, and return the hits with the number of their query.

    Raises
    ------
    dagster.Failure
        If the index does not hold the source to search.
    """
    idf = inverse_document_frequency(*total_frequency(step[TFIDF_TERMS].read()))
    tasks = deal_parts(step.home, step[TFIDF_INDEX])
    candidates = candidates_of(options.top_n, options.sort)
    at_once = max(1, MERGED // max(1, sum(min(candidates, task.sequences) for task in tasks)))
    merged = [COMPARED.empty_table()]
    for first in range(0, len(queries), at_once):
        some = queries[first : first + at_once]
        found: list[PartHits] = engine.map(
            partial(search_parts, queries=some, before=first, idf=idf, options=options),
            tasks,
            weights=[task.sequences for task in tasks],
            label=f"searching with queries {first + 1:,} to {first + len(some):,} of {len(queries):,}",
            unit="sequences",
            log=context.log,
        )
        sources = sorted({source for part in found for source in part.sources})
        if options.source not in (None, *sources):
            raise dg.Failure(
                f"no source is called {options.source}; {TFIDF_INDEX.name} has {', '.join(sources) or 'none'}. "
                "Set another in the run config of query_hits",
                allow_retries=False,
            )
        hits = merge([part.hits for part in found], candidates)
        compared = deal_hits(step.home, step[TFIDF_INDEX], hits)
        held: list[pa.Table] = []
        if compared:
            held = engine.map(
                partial(contain_hits, queries=some, before=first, strand=options.strand),
                compared,
                weights=[task.bases for task in compared],
                label=f"reading the hits of queries {first + 1:,} to {first + len(some):,} of {len(queries):,}",
                unit="bases",
                log=context.log,
            )
        hits = pa.concat_tables(
            [COMPARED.empty_table(), *(with_held(task.hits, own) for task, own in zip(compared, held, strict=True))]
        )
        merged.append(merge([hits], options.top_n, options.sort))
    return pa.concat_tables(merged).drop_columns([PART, ROW])


def deal(sizes: Counter[str], number: int) -> list[tuple[int, tuple[str, ...]]]:
    """Deal parts, by key, to up to a number of tasks, with sizes as equal as the parts allow."""
    hands: list[tuple[int, int, tuple[str, ...]]] = [(0, hand, ()) for hand in range(min(len(sizes), number))]
    for key, size in sizes.most_common():
        least, hand, keys = hands[0]
        heapreplace(hands, (least + size, hand, (*keys, key)))
    return [(size, keys) for size, _, keys in hands]


def deal_parts(home: Home, index: Snapshot) -> list[SearchTask]:
    """Return tasks that together search the index."""
    sizes = Counter({key: sum(file.rows for file in files) for key, files in index.parts.items()})
    dealt = deal(sizes, -(-sizes.total() // TASK_SEQUENCES))
    return [SearchTask(home.uri, index.version, keys, rows) for rows, keys in dealt]


def deal_hits(home: Home, index: Snapshot, hits: pa.Table) -> list[ContainmentTask]:
    """Return tasks that together compare hits with their queries, each hit in the task that reads its part."""
    sizes = Counter[str]()
    for part, length in zip(hits[PART].to_pylist(), hits["length"].to_pylist(), strict=True):
        sizes[part] += length
    dealt = deal(sizes, -(-sizes.total() // TASK_BASES))
    chosen = [(bases, hits.filter(pc.is_in(hits[PART], pa.array(keys)))) for bases, keys in dealt]
    return [ContainmentTask(home.uri, index.version, own, bases) for bases, own in chosen]


def with_held(hits: pa.Table, held: pa.Table) -> pa.Table:
    """Return hits with the columns that are known once their sequences are read."""
    for name in held.column_names:
        place = hits.column_names.index(name)
        hits = hits.set_column(place, hits.field(place), held[name])
    return hits


def merge(found: Sequence[pa.Table], top_n: int, sort: Sort = "similarity") -> pa.Table:
    """Return the best hits of each query from those of parts of the index, in their order.

    Parameters
    ----------
    found
        Hits with their query's number: the first ``top_n`` of each part, or all if it has fewer.
    top_n
        Maximum number of hits per query.
    sort
        Their order; hits without a containment come last.
    """
    order = [(NUMBER, "ascending"), *([("containment", "descending")] if sort == "containment" else [])]
    order += [("similarity", "descending"), *((name, "ascending") for name in ("seq_id", "source", "file"))]
    hits = pa.concat_tables([each.cast(COMPARED) for each in found]).sort_by(order)
    numbers = hits[NUMBER].to_numpy()
    ranks = np.arange(len(numbers)) - np.searchsorted(numbers, numbers) + 1
    place = hits.column_names.index("rank")
    return hits.set_column(place, hits.field(place), pa.array(ranks)).filter(pa.array(ranks <= top_n))


@rule(
    QUERY_HITS,
    "By query ranks count from 1 without a gap; similarities are in (0, 1] and descend, or the containments that were "
    "to be sorted by; equal ones by seq_id",
)
def ranks(home: Home) -> Iterator[str]:
    """Compare the ranks of hits with their order and their similarities."""
    hits = home.table(QUERY_HITS).at()
    sort = hits.provenance.settings.get("sort", "similarity")
    rows = hits.read([NUMBER, "rank", "similarity", "seq_id", *(["containment"] if sort == "containment" else [])])
    number, rank, similarity, name = (rows[each].to_numpy() for each in rows.column_names[:4])
    first = np.nan_to_num(rows[sort].to_numpy(), nan=-1.0)
    ties = (similarity[1:] < similarity[:-1]) | ((similarity[1:] == similarity[:-1]) & (name[1:] >= name[:-1]))
    follows = (first[1:] < first[:-1]) | ((first[1:] == first[:-1]) & ties)
    same = np.diff(number) == 0
    right = (similarity > 0) & (similarity <= 1) & (first <= 1)
    right[:1] &= rank[:1] == 1
    right[1:] &= np.where(same, (np.diff(rank) == 1) & follows, (np.diff(number) > 0) & (rank[1:] == 1))
    for place in np.flatnonzero(~right)[:SHOWN]:
        yield f"query {number[place]:,}, rank {rank[place]:,}: {name[place]} with {sort} {rows[sort][place].as_py()}"


def define(settings: SearchSettings) -> list[Member]:
    """Return the table and its rule."""
    return [hits_asset(settings.queries), ranks]
