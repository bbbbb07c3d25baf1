"""The API's routes: what is asked becomes a call of the library, and what it returns an answer.

Belongs here: addresses, statuses, and the limits of what one request may ask for. Does not belong here: how anything is
searched, and what holds for every request (``guards``).
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
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
from opengenome_assets.search.kmers import MAX_K
from opengenome_assets.search.records import Record, find_records, read_letters
from opengenome_assets.service import answers
from opengenome_assets.service.following import OPENING, FollowedIndex, Opened
from opengenome_assets.service.guards import Turns
from opengenome_assets.service.metrics import Metrics
from opengenome_assets.service.problems import ProblemError, described
from opengenome_assets.service.settings import ServerSettings
from opengenome_assets.settings import Settings
from opengenome_assets.storage.files import exists
from opengenome_assets.storage.tables import Home

_Found = TypeVar("_Found")

REPORT = "reports/corpus_report.html"

# A record is read whole, also if a few of its letters are asked for: the longest human chromosome is.
LONGEST_RECORD = 2**28
LINE = 80


@dataclass(frozen=True)
class Service:
    """What the routes work with."""

    settings: Settings
    limits: ServerSettings
    followed: FollowedIndex
    turns: Turns
    metrics: Metrics

    @property
    def home(self) -> Home:
        """The tables of the home."""
        return Home(self.settings.home)

    @property
    def opened(self) -> Opened:
        """The index that is searched.

        Raises
        ------
        ProblemError
            If there is none.
        """
        if (opened := self.followed.opened) is None:
            raise ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, self.followed.problem or OPENING, retry_after=3)
        return opened

    async def run(self, work: Callable[[], _Found]) -> _Found:
        """Run something that takes time, in its turn; what is wrong with the request is a problem of the client's."""
        try:
            return await self.turns.run(work)
        except (QueryError, UnknownSourceError) as error:
            raise unprocessable(str(error)) from error
        except UnknownSequenceError as error:
            raise ProblemError(HTTPStatus.NOT_FOUND, str(error)) from error

    async def answer(self, work: Callable[[], BaseModel]) -> Response:
        """Run something, in its turn, and write what it answers there too: a long answer takes as long as a search."""
        content = await self.run(lambda: work().model_dump_json())
        return Response(content, media_type="application/json")

    def read_queries(self, text: str, most: int) -> list[Searchable]:
        """Return the queries in a text, if they are not more than allowed."""
        queries = read_queries(text)
        bases = sum(len(query.sequence) for query in queries)
        if len(queries) > most:
            raise too_much(f"Expected at most {most:,} sequences in one request, found {len(queries):,}")
        if bases > self.limits.max_bases:
            raise too_much(f"Expected at most {self.limits.max_bases:,} letters in one request, found {bases:,}")
        return queries

    def refuse_many_hits(self, hits: int) -> None:
        """Refuse to list more hits than allowed."""
        if hits > self.limits.max_hits:
            raise unprocessable(f"Expected at most {self.limits.max_hits:,} hits to be asked for, found {hits:,}")


def unprocessable(detail: str) -> ProblemError:
    """Return the problem of a request that asks for what cannot be."""
    return ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, detail)


def too_much(detail: str) -> ProblemError:
    """Return the problem of a request that asks for more than allowed."""
    return ProblemError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, detail)


def service(request: Request) -> Service:
    """Return what the routes work with, from the application."""
    found: Service = request.app.state.service
    return found


Here = Annotated[Service, Depends(service)]
Identifier = Annotated[str, Query(description="Identifier: the header's first word", max_length=1000)]
Source = Annotated[str | None, Query(description="Only in this source", max_length=1000)]
File = Annotated[str | None, Query(description="Only from this FASTA file", max_length=1000)]


def refuse_other_parameters(request: Request) -> None:
    """Refuse query parameters that the route does not have or that are given again: neither would count."""
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


api = APIRouter(prefix="/api", responses=described(408, 422, 429, 503), dependencies=[Depends(refuse_other_parameters)])


def searched(opened: Opened) -> answers.Searched:
    """Say which tables are searched."""
    index = opened.index
    return answers.Searched(
        tfidf_index=index.version,
        sequence_shards=opened.shards_version,
        data_version=index.data_version,
        corpus=index.corpus,
    )


@api.get("/index")
async def describe_index(here: Here) -> answers.IndexAnswer:
    """Say what is searched, and what may be asked."""
    opened = here.opened
    report = await here.run(partial(exists, f"{here.settings.home}/{REPORT}"))
    return answers.IndexAnswer(
        searched=searched(opened),
        sequences=opened.index.sequences,
        sources=list(opened.index.sources),
        examples=[answers.Sequence(**example) for example in opened.examples],
        limits=answers.Limits.model_validate(here.limits),
        problem=here.followed.problem,
        report=report,
        dagster_url=here.limits.dagster_url,
    )


@api.post("/similar", response_model=answers.SimilarAnswer, responses=described(413))
async def search_similar(asked: answers.SimilarRequest, here: Here) -> Response:
    """Rank the sequences of the corpus by similarity to each query: the cosine of TF-IDF vectors of 6-mers, exactly."""
    here.refuse_many_hits(asked.top_n)
    opened = here.opened

    def search() -> answers.SimilarAnswer:
        started = time.perf_counter()
        queries = here.read_queries(asked.queries, here.limits.max_queries)
        here.metrics.searches.labels("similar").inc(len(queries))
        found = opened.index.similar(
            queries,
            top_n=asked.top_n,
            threshold=asked.threshold,
            source=asked.source,
            both_strands=asked.both_strands,
        )
        return answers.SimilarAnswer(
            searched=searched(opened),
            seconds=round(time.perf_counter() - started, 6),
            sequences_searched=opened.index.sequences,
            results=[
                answers.QueryHits(
                    query=query.name,
                    length=len(query.sequence),
                    hits=[answers.Hit.model_validate(hit) for hit in hits],
                )
                for query, hits in zip(queries, found, strict=True)
            ],
        )

    return await here.answer(search)


@api.post("/explain", response_model=answers.ExplainAnswer, responses=described(404, 413))
async def explain_hit(asked: answers.ExplainRequest, here: Here) -> Response:
    """Say why a hit is similar to a query: the shared 6-mers that weigh most, and both profiles."""
    opened = here.opened

    def explain() -> answers.ExplainAnswer:
        (query,) = here.read_queries(asked.query, 1)
        hit = Hit(0, asked.seq_id, asked.source, asked.file, 0.0, 0, "", asked.strand)
        explanation = opened.index.explain(query, hit)
        return answers.ExplainAnswer(
            searched=searched(opened),
            terms=[answers.SharedKmer.model_validate(term) for term in explanation.terms],
            shared=explanation.shared,
            query_profile=explanation.query_profile.round(6).tolist(),
            hit_profile=explanation.hit_profile.round(6).tolist(),
        )

    return await here.answer(explain)


@api.get("/kmers/{kmer:path}", response_model=answers.KmerAnswer)
async def search_kmer(
    kmer: Annotated[str, Path(description=f"1 to {MAX_K} of the letters A, C, G, T")],
    here: Here,
    both_strands: Annotated[bool, Query(description="Count the reverse complement's occurrences too")] = False,
    min_count: Annotated[int, Query(description="Least number of occurrences", ge=1, le=2**62)] = 1,
    source: Source = None,
    limit: Annotated[int, Query(description="List so many sequences; the server sets how many at most", ge=0)] = 100,
    positions: Annotated[int, Query(description="Say where the first so many occurrences are", ge=0, le=100)] = 0,
) -> Response:
    """Find the sequences that hold a k-mer, in the version of the corpus that the index was made from."""
    here.refuse_many_hits(limit)
    version = here.opened.shards_version

    def search() -> answers.KmerAnswer:
        started = time.perf_counter()
        here.metrics.searches.labels("kmer").inc()
        matches = find_kmer(
            kmer,
            home=here.settings.home,
            version=version,
            source=source,
            both_strands=both_strands,
            min_count=min_count,
            limit=limit,
            positions=positions,
        )
        return answers.KmerAnswer.model_validate({**vars(matches), "seconds": round(time.perf_counter() - started, 6)})

    return await here.answer(search)


@api.get("/sequences", responses=described(404))
async def find_sequences(
    here: Here, seq_id: Identifier, source: Source = None, file: File = None
) -> answers.RecordsAnswer:
    """Find the records with an identifier, in the version of the corpus that is searched."""
    version = here.opened.shards_version
    records = await here.run(partial(_records, here, version, seq_id, source, file))
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
    here: Here,
    seq_id: Identifier,
    source: Source = None,
    file: File = None,
    start: Annotated[int, Query(description="First letter, counted from 0", ge=0)] = 0,
    end: Annotated[
        int | None, Query(description="The letter after the last; without it the record's end", ge=0)
    ] = None,
) -> Response:
    """Give the letters of a record, or a range of them, as FASTA."""
    version = here.opened.shards_version
    text = await here.run(partial(_fasta, here, version, seq_id, source, file, start, end))
    return Response(text, media_type="text/x-fasta", headers={"OpenGenome-Sequence-Shards": str(version)})


@api.get("/tables")
async def list_tables(here: Here) -> list[answers.Table]:
    """List the tables, their versions, and whether they are current."""
    states = await here.run(
        partial(table_states, here.settings.home, groups.specs(), partial(groups.outside, here.settings))
    )
    return [answers.Table.model_validate(state) for state in states]


def _records(here: Service, version: int, seq_id: str, source: str | None, file: str | None) -> list[Record]:
    records = [
        record
        for record in find_records(here.home, version, seq_id)
        if source in (None, record.source) and file in (None, record.file)
    ]
    if not records:
        words = f"No record {seq_id!a} in version {version} of {SEQUENCE_SHARDS.name}"
        of = "" if source is None else f" of source {source!a}"
        from_file = "" if file is None else f" from file {file!a}"
        raise ProblemError(HTTPStatus.NOT_FOUND, f"{words}{of}{from_file}: expected the first word of a header")
    return records


def _fasta(
    here: Service, version: int, seq_id: str, source: str | None, file: str | None, start: int, end: int | None
) -> str:
    record, *others = _records(here, version, seq_id, source, file)
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
    if end - start > here.limits.max_bases:
        raise too_much(f"Expected a range of at most {here.limits.max_bases:,} letters, found {end - start:,}")
    if record.length > LONGEST_RECORD:
        raise too_much(
            f"{seq_id} has {record.length:,} letters, and records are read whole: expected at most "
            f"{LONGEST_RECORD:,}. Read it from the table {SEQUENCE_SHARDS.name}"
        )
    letters = read_letters(here.home, record, start, end)
    # In the notation of Python's slices, which leaves no doubt about where counting begins.
    part = "" if end - start == record.length else f"[{start}:{end}]"
    lines = [" ".join(filter(None, [f">{record.seq_id}", part, record.description]))]
    lines += [letters[place : place + LINE] for place in range(0, len(letters), LINE)]
    return "\n".join(lines) + "\n"
