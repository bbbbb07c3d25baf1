"""The routes of the search API: a request becomes a call of the library ``search``, its result an answer.

Belongs here: paths, statuses, and the limits of one request. Does not belong here: searching (``search``), the models
of requests and answers (``answers.py``), and limits for every request (``guards.py``).
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import Annotated, TypeVar

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel

from opengenome_assets import groups
from opengenome_assets.corpus.tables import SEQUENCE_SHARDS
from opengenome_assets.lineage.inventory import table_states
from opengenome_assets.search import Hit, QueryError, find_kmer, read_queries
from opengenome_assets.search import Query as Searchable
from opengenome_assets.search.index import UnknownSequenceError, UnknownSourceError
from opengenome_assets.search.kmers import MAX_KMER_LENGTH
from opengenome_assets.search.options import Strand, candidates_of
from opengenome_assets.search.queries import RefusedQuery, sort_queries
from opengenome_assets.search.records import SequenceRecord, find_records, read_letters
from opengenome_assets.service import answers
from opengenome_assets.service.following import OPENING, FollowedIndex, Opened
from opengenome_assets.service.live import Live
from opengenome_assets.service.metrics import Metrics
from opengenome_assets.service.pace import Turns
from opengenome_assets.service.problems import ProblemError, described
from opengenome_assets.service.settings import ServerSettings
from opengenome_assets.settings import Settings
from opengenome_assets.storage.files import exists
from opengenome_assets.storage.tables import Home

_Result = TypeVar("_Result")

REPORT = "reports/corpus_report.html"

# Maximum letters of a record, which is read whole even for a range: enough for the longest human chromosome.
LONGEST_RECORD = 2**28
LINE = 80


@dataclass(frozen=True)
class Service:
    """The index, limits and metrics that the routes use."""

    settings: Settings
    live: Live
    followed: FollowedIndex
    turns: Turns
    metrics: Metrics

    @property
    def limits(self) -> ServerSettings:
        """The limits, as they are now."""
        return self.live.limits

    @property
    def home(self) -> Home:
        """The tables of the home."""
        return Home(self.settings.home)

    @property
    def opened(self) -> Opened:
        """The index to search.

        Raises
        ------
        ProblemError
            If there is none.
        """
        if (opened := self.followed.opened) is None:
            raise ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, self.followed.problem or OPENING, retry_after=3)
        return opened

    async def run(self, work: Callable[[], _Result]) -> _Result:
        """Run slow work in a thread, in its turn; a fault of the request becomes a problem for the client."""
        try:
            return await self.turns.run(work)
        except (QueryError, UnknownSourceError) as error:
            raise unprocessable(str(error)) from error
        except UnknownSequenceError as error:
            raise ProblemError(HTTPStatus.NOT_FOUND, str(error)) from error

    async def answer(self, work: Callable[[], BaseModel]) -> Response:
        """Run work in its turn and write its answer there too: writing a long answer takes as long as a search."""
        content = await self.run(lambda: work().model_dump_json())
        return Response(content, media_type="application/json")

    def sort_queries(self, text: str, most: int) -> tuple[dict[int, Searchable], list[RefusedQuery]]:
        """Return the queries in a text by their place, and the refused records; refuse no query and too many."""
        queries, refused = sort_queries(text)
        if not queries:
            raise QueryError(refused[0].reason)
        self._refuse_many_letters([*queries.values()], len(queries) + len(refused), most)
        return queries, refused

    def read_query(self, text: str) -> Searchable:
        """Return the one query in a text; refuse more than allowed."""
        queries = read_queries(text)
        self._refuse_many_letters(queries, len(queries), 1)
        return queries[0]

    def _refuse_many_letters(self, queries: Sequence[Searchable], records: int, most: int) -> None:
        bases = sum(len(query.sequence) for query in queries)
        if records > most:
            raise too_much(f"Expected at most {most:,} sequences in one request, found {records:,}")
        if bases > self.limits.max_bases:
            raise too_much(f"Expected at most {self.limits.max_bases:,} letters in one request, found {bases:,}")

    def refuse_many_hits(self, hits: int) -> None:
        """Refuse to list more hits than allowed."""
        if hits > self.limits.max_hits:
            raise unprocessable(f"Expected at most {self.limits.max_hits:,} hits to be asked for, found {hits:,}")


def unprocessable(detail: str) -> ProblemError:
    """Return the problem of a request with impossible values."""
    return ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, detail)


def too_much(detail: str) -> ProblemError:
    """Return the problem of a request that asks for more than allowed."""
    return ProblemError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, detail)


def service_of(request: Request) -> Service:
    """Return the service of the application."""
    found: Service = request.app.state.service
    return found


CurrentService = Annotated[Service, Depends(service_of)]
Identifier = Annotated[str, Query(description="Identifier: the header's first word", max_length=1000)]
Source = Annotated[str | None, Query(description="Only in this source", max_length=1000)]
File = Annotated[str | None, Query(description="Only from this FASTA file", max_length=1000)]


def refuse_other_parameters(request: Request) -> None:
    """Refuse query parameters that the route does not have or that are given twice: they would be ignored."""
    known = [parameter.alias for parameter in request.scope["route"].dependant.query_params]
    faults = []
    for name, count in Counter(name for name, _ in request.query_params.multi_items()).items():
        expected = "Parameter should be given once" if name in known else f"Parameter should be {_one_of(known)}"
        if name not in known or count > 1:
            values = request.query_params.getlist(name)
            faults.append({"loc": ("query", name), "msg": expected, "input": values if count > 1 else values[0]})
    if faults:
        raise RequestValidationError(faults)


def _one_of(names: list[str]) -> str:
    return f"one of {', '.join(names)}" if names else "left out: there is none here"


api = APIRouter(
    prefix="/api", responses=described(408, 421, 422, 429, 431, 503), dependencies=[Depends(refuse_other_parameters)]
)


def searched(opened: Opened) -> answers.Searched:
    """Return the versions of the searched tables."""
    index = opened.index
    return answers.Searched(
        tfidf_index=index.version,
        sequence_shards=opened.shards_version,
        data_version=index.data_version,
        corpus=index.corpus,
    )


@api.get("/index")
async def describe_index(service: CurrentService) -> answers.IndexAnswer:
    """Describe the index: its versions, sources, examples, and the limits of a request."""
    opened = service.opened
    report = await service.run(partial(exists, f"{service.settings.home}/{REPORT}"))
    return answers.IndexAnswer(
        searched=searched(opened),
        sequences=opened.index.sequences,
        sources=list(opened.index.sources),
        examples=[answers.Sequence(**example) for example in opened.examples],
        limits=answers.Limits.model_validate(service.limits),
        problem=service.followed.problem,
        report=report,
        dagster_url=service.limits.dagster_url,
    )


@api.post("/similar", response_model=answers.SimilarAnswer, responses=described(413))
async def search_similar(body: answers.SimilarRequest, service: CurrentService) -> Response:
    """Rank the sequences of the corpus by their similarity to each query, exactly, and say what share of it each holds.

    Similarity is the cosine of TF-IDF vectors of 6-mers. Containment is the share of the query's distinct k-mers.
    """
    service.refuse_many_hits(body.top_n)
    opened = service.opened

    def search() -> answers.SimilarAnswer:
        started = time.perf_counter()
        sorted_queries, refused = service.sort_queries(body.queries, service.limits.max_queries)
        places, queries = list(sorted_queries), list(sorted_queries.values())
        service.metrics.searches.labels("similar").inc(len(queries))
        found = opened.index.similar(
            queries,
            top_n=body.top_n,
            threshold=body.threshold,
            source=body.source,
            strand=body.strand,
            sort=body.sort,
            max_comparisons=service.limits.max_comparisons,
        )
        return answers.SimilarAnswer(
            searched=searched(opened),
            seconds=round(time.perf_counter() - started, 6),
            sequences_searched=opened.index.sequences,
            candidates=min(candidates_of(body.top_n, body.sort), opened.index.sequences),
            results=[
                answers.QueryHits(
                    query=query.name,
                    record=place,
                    length=len(query.sequence),
                    hits=[answers.Hit.model_validate(hit) for hit in hits],
                )
                for place, query, hits in zip(places, queries, found, strict=True)
            ],
            refused=[answers.RefusedQuery.model_validate(each) for each in refused],
        )

    return await service.answer(search)


@api.post("/explain", response_model=answers.ExplainAnswer, responses=described(404, 413))
async def explain_hit(body: answers.ExplainRequest, service: CurrentService) -> Response:
    """Explain a hit: where it matches, the shared 6-mers with the largest share of the similarity, both profiles."""
    opened = service.opened

    def explain() -> answers.ExplainAnswer:
        query = service.read_query(body.query)
        hit = Hit(0, body.seq_id, body.source, body.file, 0.0, 0, "", "+")
        explanation = opened.index.explain(query, hit, strand=body.strand)
        return answers.ExplainAnswer(
            searched=searched(opened),
            strand=explanation.strand,
            terms=[answers.SharedKmer.model_validate(term) for term in explanation.terms],
            shared=explanation.shared,
            query_profile=explanation.query_profile.round(6).tolist(),
            hit_profile=explanation.hit_profile.round(6).tolist(),
            length=len(query.sequence),
            matches=answers.Matches.model_validate(opened.index.matches(query, hit, strand=body.strand)),
        )

    return await service.answer(explain)


# 404: a path with a line break is none of the API's.
@api.get("/kmers/{kmer:path}", response_model=answers.KmerAnswer, responses=described(404))
async def search_kmer(
    kmer: Annotated[str, Path(description=f"1 to {MAX_KMER_LENGTH} of the letters A, C, G, T")],
    service: CurrentService,
    strand: Annotated[Strand, Query(description="both: count the reverse complement's occurrences too")] = "both",
    min_count: Annotated[int, Query(description="Minimum number of occurrences", ge=1, le=2**62)] = 1,
    source: Source = None,
    limit: Annotated[int, Query(description="Maximum number of sequences to list; the server has a limit", ge=0)] = 100,
    positions: Annotated[int, Query(description="Maximum number of positions to list for each", ge=0, le=100)] = 0,
) -> Response:
    """Find the sequences that hold a k-mer, in the version of the corpus that the index was made from."""
    service.refuse_many_hits(limit)
    version = service.opened.shards_version

    def search() -> answers.KmerAnswer:
        started = time.perf_counter()
        service.metrics.searches.labels("kmer").inc()
        matches = find_kmer(
            kmer,
            home=service.settings.home,
            version=version,
            source=source,
            strand=strand,
            min_count=min_count,
            limit=limit,
            positions=positions,
        )
        return answers.KmerAnswer.model_validate({**vars(matches), "seconds": round(time.perf_counter() - started, 6)})

    return await service.answer(search)


@api.get("/sequences", responses=described(404))
async def find_sequences(
    service: CurrentService, seq_id: Identifier, source: Source = None, file: File = None
) -> answers.RecordsAnswer:
    """Find the records with an identifier, in the version of the corpus that is searched."""
    version = service.opened.shards_version
    records = await service.run(partial(_records, service, version, seq_id, source, file))
    found = [answers.Record.model_validate(record) for record in records]
    return answers.RecordsAnswer(sequence_shards=version, records=found)


@api.get(
    "/sequences/fasta",
    response_class=Response,
    responses={
        200: {"content": {"text/x-fasta": {"schema": {"type": "string"}}}},
        **described(404, 409, 413),
    },
)
async def read_sequence(
    service: CurrentService,
    seq_id: Identifier,
    source: Source = None,
    file: File = None,
    start: Annotated[int, Query(description="First letter, counted from 0", ge=0)] = 0,
    end: Annotated[int | None, Query(description="The letter after the last. Default: the record's end", ge=0)] = None,
) -> Response:
    """Return the letters of a record, or a range of them, as FASTA."""
    version = service.opened.shards_version
    text = await service.run(partial(_fasta, service, version, seq_id, source, file, start, end))
    return Response(text, media_type="text/x-fasta", headers={"OpenGenome-Sequence-Shards": str(version)})


@api.get("/tables")
async def list_tables(service: CurrentService) -> list[answers.Table]:
    """List the tables, their versions, and whether they are current."""
    states = await service.run(
        partial(table_states, service.settings.home, groups.specs(), partial(groups.outside, service.settings))
    )
    return [answers.Table.model_validate(state) for state in states]


def _records(service: Service, version: int, seq_id: str, source: str | None, file: str | None) -> list[SequenceRecord]:
    records = [
        record
        for record in find_records(service.home, version, seq_id)
        if source in (None, record.source) and file in (None, record.file)
    ]
    if not records:
        words = f"No record {seq_id!a} in version {version} of {SEQUENCE_SHARDS.name}"
        of = "" if source is None else f" of source {source!a}"
        from_file = "" if file is None else f" from file {file!a}"
        raise ProblemError(HTTPStatus.NOT_FOUND, f"{words}{of}{from_file}: expected the first word of a header")
    return records


def _fasta(
    service: Service, version: int, seq_id: str, source: str | None, file: str | None, start: int, end: int | None
) -> str:
    record, *others = _records(service, version, seq_id, source, file)
    if others:
        places = "; ".join(f"source {each.source}, file {each.file}" for each in (record, *others[:9]))
        words = f"{1 + len(others)} records are called {seq_id}. Name the source and the file too: {places}"
        raise ProblemError(HTTPStatus.CONFLICT, words)
    end = record.length if end is None else min(end, record.length)
    if start >= end:
        found = f"start={start:,} and end={end:,}"
        raise unprocessable(
            f"Expected start before end within the {record.length:,} letters of the record, found {found}"
        )
    if end - start > service.limits.max_bases:
        raise too_much(f"Expected a range of at most {service.limits.max_bases:,} letters, found {end - start:,}")
    if record.length > LONGEST_RECORD:
        raise too_much(
            f"{seq_id} has {record.length:,} letters, and records are read whole: expected at most "
            f"{LONGEST_RECORD:,}. Read it from the table {SEQUENCE_SHARDS.name}"
        )
    letters = read_letters(service.home, record, start, end)
    # In the notation of Python's slices, which count from 0.
    part = "" if end - start == record.length else f"[{start}:{end}]"
    lines = [" ".join(filter(None, [f">{record.seq_id}", part, record.description]))]
    lines += [letters[place : place + LINE] for place in range(0, len(letters), LINE)]
    return "\n".join(lines) + "\n"
