"""Requests and answers of the API: the models of its OpenAPI description.

Belongs here: their form; a model has the name of the library's class that it shows. Does not belong here: limits that
are settings (``search.py``).
"""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from opengenome_assets.corpus.tables import SEQUENCE_SHARDS, TFIDF_INDEX
from opengenome_assets.search.options import CANDIDATES, Sort, Strand


def _encodable(text: str) -> str:
    text.encode()  # JSON can contain half of a surrogate pair, which no file holds
    return text


Text = Annotated[str, AfterValidator(_encodable)]
Name = Annotated[Text, Field(max_length=1000)]


class _Answer(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Searched(_Answer):
    """The exact tables that an answer was made from."""

    tfidf_index: int = Field(description=f"Version of the table {TFIDF_INDEX.name}")
    sequence_shards: int = Field(description=f"Version of the table {SEQUENCE_SHARDS.name} that it was made from")
    data_version: str = Field(description="Digest of everything that determines the index")
    corpus: str = Field(description="Digest of everything that determines the corpus")


class Sequence(_Answer):
    """A sequence of the corpus without its letters."""

    seq_id: str
    source: str
    file: str = Field(description="Path of its FASTA file below the source that was named")
    description: str
    length: int = Field(description="Letters")


class SimilarRequest(_Request):
    """Sequences to search for."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"queries": ">mine\nACGTTGCAAGCTTACGGA", "top_n": 5, "sort": "containment"}]},
    )

    queries: Text = Field(description="FASTA with one or several records, or the letters of one sequence")
    top_n: int = Field(10, ge=1, description="Maximum hits per query; the server has a limit")
    threshold: float = Field(0.0, ge=0, le=1, description="Minimum similarity of a hit")
    source: Name | None = Field(None, description="Search this source only")
    strand: Strand = Field("both", description="both: search the reverse complement too; the better one counts")
    sort: Sort = Field(
        "similarity",
        description=f"Order of the hits; for containment, {CANDIDATES} times top_n of the most similar are compared",
    )


class Hit(Sequence):
    """A sequence that is similar to a query."""

    rank: int = Field(description="From 1; equal ones in the order of similarity, then seq_id")
    similarity: float = Field(description="Cosine similarity of the TF-IDF vectors of 6-mers, in [0, 1]")
    containment: float | None = Field(
        description="Share of the query's distinct k-mers that the sequence holds, in [0, 1]; null if it has none"
    )
    identity: float | None = Field(
        description="Identity that the containment suggests, containment ** (1 / k); null without a shared k-mer"
    )
    k: int = Field(description="Length of these k-mers, specific for the query's length")
    strand: str = Field(
        description="+, or - for the query's reverse complement: the strand of which the sequence holds more k-mers, "
        "else the more similar one"
    )


class QueryHits(_Answer):
    """The hits of one query; none means that nothing is similar enough."""

    query: str = Field(description="Its identifier, or query")
    record: int = Field(description="Its place among the records of the request, from 1")
    length: int = Field(description="Letters")
    hits: list[Hit]


class RefusedQuery(_Answer):
    """A record of the request that cannot be searched with; the others were."""

    name: str = Field(description="Its identifier; empty if it has none")
    record: int = Field(description="Its place among the records of the request, from 1")
    line: int = Field(description="Line of its header in the request's text, from 1")
    reason: str = Field(description="What is wrong with it")


class SimilarAnswer(_Answer):
    """Hits of each query, in the order of the queries."""

    searched: Searched
    seconds: float = Field(description="Duration of the search")
    sequences_searched: int = Field(description="Sequences that the index holds")
    candidates: int = Field(description="Maximum of the most similar sequences per query that were compared and sorted")
    results: list[QueryHits]
    refused: list[RefusedQuery] = Field(description="Records that were not searched, and why")


class ExplainRequest(_Request):
    """A query and one of its hits."""

    query: Text = Field(description="FASTA with one record, or the letters of one sequence")
    seq_id: Name
    source: Name
    file: Name
    strand: Strand = Field("both", description="As in the search")


class SharedKmer(_Answer):
    """A 6-mer that query and hit share."""

    kmer: str
    query_count: int = Field(description="Occurrences in the query, on the explained strand")
    hit_count: int = Field(description="Occurrences in the hit")
    share: float = Field(description="Its share of the similarity, in (0, 1]")


class Stretch(_Answer):
    """A stretch of query and hit on which shared k-mers line up, both of the same length."""

    query_start: int = Field(description="Its first letter in the query as given, counted from 0")
    query_end: int = Field(description="The letter after its last in the query")
    hit_start: int = Field(description="Its first letter in the hit, counted from 0")
    hit_end: int = Field(description="The letter after its last in the hit")
    strand: str = Field(description="- if the hit holds the reverse complement of the query's stretch, else +")
    kmers: int = Field(description="Shared k-mers in it")


class Matches(_Answer):
    """Where a hit holds k-mers of the query."""

    k: int = Field(description="Length of these k-mers, specific for the query's length")
    stretches: list[Stretch] = Field(description="Those with the most shared k-mers, in descending order")
    total: int = Field(description="Number of all stretches")
    covered: float = Field(description="Share of the query's letters in shared k-mers, without those of repeats")
    searched: int = Field(description="Letters of the hit that were looked through, from its first")


class ExplainAnswer(_Answer):
    """Why a hit is similar."""

    searched: Searched
    strand: str = Field(description="- if the query's reverse complement is more similar than the query, else +")
    terms: list[SharedKmer] = Field(description="The shared 6-mers with the largest share, in descending order")
    shared: int = Field(description="Number of all shared 6-mers")
    query_profile: list[float] = Field(description="TF-IDF weights of the 4,096 6-mers in alphabetical order")
    hit_profile: list[float] = Field(description="The same of the hit")
    length: int = Field(description="Letters of the query")
    matches: Matches


class Occurrence(_Answer):
    """A place of a k-mer in a sequence."""

    start: int = Field(description="Its leftmost letter on the strand as stored, counted from 0")
    strand: str = Field(description="- for its reverse complement, else +")


class KmerHit(Sequence):
    """A sequence that holds a k-mer."""

    count: int = Field(description="Occurrences on the searched strands, overlapping ones included")
    reverse: int = Field(description="Occurrences on the reverse strand")
    occurrences: list[Occurrence] = Field(description="The first of them; fewer than count if there are more")


class KmerAnswer(_Answer):
    """The sequences that hold a k-mer."""

    kmer: str
    strand: Strand
    version: int = Field(description=f"Version of the table {SEQUENCE_SHARDS.name} that was searched")
    data_version: str = Field(description="Digest of everything that determines its content")
    seconds: float = Field(description="Duration of the search")
    sequences_searched: int
    bases_searched: int
    sequences: int = Field(description="Sequences with the k-mer, whether or not they are among the hits")
    occurrences: int = Field(description="Occurrences in all of these sequences")
    hits: list[KmerHit] = Field(description="Sequences, those with most occurrences first")


class Record(Sequence):
    """A sequence as the corpus has it."""

    gc_content: float | None = Field(description="G and C divided by A, C, G and T; null without any of them")


class RecordsAnswer(_Answer):
    """The records with an identifier, which is unique only within a file."""

    sequence_shards: int = Field(description=f"Version of the table {SEQUENCE_SHARDS.name} that was read")
    records: list[Record]


class Table(_Answer):
    """The present state of a table; only name and state if it cannot be read."""

    name: str
    state: str = Field(description="current, or a warning about its use")
    version: int | None
    rows: int | None
    files: int | None
    bytes: int | None
    made: str | None = Field(description="Time of its making, in ISO 8601 and UTC")


class Limits(_Answer):
    """Limits of one request."""

    max_body_bytes: int
    max_queries: int
    max_bases: int
    max_hits: int
    max_comparisons: int


class IndexAnswer(_Answer):
    """The index, and the limits of a request."""

    searched: Searched
    sequences: int
    sources: list[str]
    examples: list[Sequence] = Field(description="Some sequences to try a search with")
    limits: Limits
    problem: str | None = Field(description="Why a newer version could not be opened; null if this is the newest")
    report: bool = Field(description="Whether the report of the corpus is at /report")
    dagster_url: str = Field(description="Where Dagster's user interface is; empty if it is not known")


class Health(_Answer):
    """Whether the server can search."""

    ready: bool
    tfidf_index: int | None = Field(description="Version of the searched table; null if there is none")
    problem: str | None = Field(description="Why there is none, or why it is not the newest")
