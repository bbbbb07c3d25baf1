"""The commands of ``search``: ``similar`` and ``kmer``.

Belongs here: reading queries, wording and exit codes. Does not belong here: searching (``index.py``, ``kmers.py``), and
the form of results (``hits.py``).
"""

from __future__ import annotations

import io
import math
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast, get_args

import click

from opengenome_assets.corpus.tables import SEQUENCE_SHARDS, TFIDF_INDEX
from opengenome_assets.search.hits import HitTable, check_form, form_option, output_option, tell
from opengenome_assets.search.options import CANDIDATES, Sort, Strand, candidates_of
from opengenome_assets.settings import read_home
from opengenome_assets.terminal import aligned, setting_errors
from opengenome_assets.words import plural, printable, shorten

if TYPE_CHECKING:
    from opengenome_assets.search import Hit, KmerHit, KmerMatches, Query
    from opengenome_assets.search.queries import Refused

# Letters of a typed sequence. If a file has such a name too, the user must decide.
SEQUENCE = re.compile(r"[ACGTRYSWKMBDHVNU\s]+", re.IGNORECASE)

# Default of --positions for each sequence, and the number of places in a line for people.
POSITIONS = 100
SHOWN = 5

# Maximum letters of a name and of a description in a line for people.
NAME = 40
DESCRIPTION = 40


def _check_threshold(_context: click.Context, _parameter: click.Parameter, threshold: float) -> float:
    if math.isnan(threshold):  # NaN is neither below nor above a bound
        raise click.BadParameter("nan is no similarity, which is from 0 to 1")
    return threshold


strand_option: Callable[[Any], Any] = click.option(
    "--strand",
    type=click.Choice(get_args(Strand)),
    default="both",
    show_default=True,
    help="Strands to search with: both, the query and its reverse complement, or only the query as given.",
)


@click.group()
def search() -> None:
    """Search the corpus: the most similar sequences, or those that hold a k-mer."""


@search.command()
@click.option(
    "--query",
    "queries",
    multiple=True,
    required=True,
    metavar="SEQUENCE|FILE|-",
    help="The query: a sequence; a file with a sequence or FASTA records, compressed or not; or - for standard input. "
    "Nothing but nucleotide letters is a sequence, anything else names a file; ./NAME is always a file. May be given "
    "several times.",
)
@click.option("--top-n", type=click.IntRange(min=1), default=10, show_default=True, help="Maximum hits per query.")
@click.option(
    "--threshold",
    type=click.FloatRange(0, 1),
    callback=_check_threshold,
    default=0,
    show_default=True,
    help="Smallest similarity.",
)
@click.option("--source", help="Search this source only.")
@strand_option
@click.option(
    "--sort",
    type=click.Choice(get_args(Sort)),
    default="similarity",
    show_default=True,
    help=f"Order of the hits. By containment, the {CANDIDATES} x N most similar sequences are compared.",
)
@click.option("--version", type=click.IntRange(min=0), help="Version of the index to search; default: the newest.")
@output_option
@form_option
def similar(
    queries: Sequence[str],
    top_n: int,
    threshold: float,
    source: str | None,
    strand: Strand,
    sort: Sort,
    version: int | None,
    output: Path | None,
    form: str,
) -> None:
    """Find the sequences most similar to a query.

    Similarity is the cosine of TF-IDF vectors over 6-mers, from 0 to 1; equal ones rank by name. A sequence that shares
    no 6-mer with a query is no hit, and a query without hits is no error.

    Containment is the share of the query's distinct k-mers that a hit holds, at a k that is specific for the query's
    length. Identity is estimated from it. Strand - means that the hit holds the reverse complement of the query.

    A record that cannot be searched with is refused by name, the others are searched, and the exit status is then 1.
    """
    check_form(form, output)
    home = _home()
    from opengenome_assets.search import SearchIndex  # imports Numba
    from opengenome_assets.search.rows import similar_rows

    with _search_errors():
        records, refused = _read_queries(queries)
        for each in refused:
            click.echo(printable(f"Not searched: {each}"), err=True)
        if not records:
            raise click.ClickException(f"no query can be searched with: {plural(len(refused), 'fault')} above")
        index = SearchIndex.open(home, version=version)
        found = index.similar(records, top_n=top_n, threshold=threshold, source=source, strand=strand, sort=sort)
    candidates = min(candidates_of(top_n, sort), index.sequences)
    without = [query.name for query, hits in zip(records, found, strict=True) if not hits]
    facts = {
        "table": TFIDF_INDEX.name,
        "version": index.version,
        "data_version": index.data_version,
        "sequences_searched": index.sequences,
        "settings": {"top_n": top_n, "threshold": threshold, "source": source, "strand": strand, "sort": sort},
        "candidates": candidates,
        "queries": len(records),
        "queries_without_hits": without,
        "refused": [vars(each) for each in refused],
    }
    total = sum(map(len, found))
    summary = (
        f"{plural(total, 'hit') if total else 'No hits'} for {len(records):,} "
        f"{'query' if len(records) == 1 else 'queries'} in version {index.version} of {TFIDF_INDEX.name}, "
        f"which holds {plural(index.sequences, 'sequence')}."
    )
    if sort == "containment":
        summary += f" They are sorted by containment, among the {candidates:,} most similar per query."
    lines = [line for query, hits in zip(records, found, strict=True) for line in _similar_lines(query, hits)]
    tell(HitTable(similar_rows(records, found), facts), form, output, lines, summary)
    if refused:
        counted = f"{len(refused):,} of {len(refused) + len(records):,}"
        raise click.ClickException(f"{counted} records were not searched with, for the reasons above the hits")


@search.command("kmer")
@click.option("--kmer", required=True, help="1 to 31 of the letters A, C, G, T, in either case.")
@click.option("--min-count", type=click.IntRange(min=1), default=1, show_default=True, help="Fewest occurrences.")
@click.option("--source", help="Search this source only.")
@strand_option
@click.option(
    "--positions",
    type=click.IntRange(min=0),
    is_flag=False,
    flag_value=POSITIONS,
    default=0,
    metavar="[N]",
    help="List positions: the first N occurrences in each sequence; 100 without N.",
)
@click.option(
    "--limit", type=click.IntRange(min=0), default=100, show_default=True, help="Maximum number of hits; 0 for all."
)
@click.option("--version", type=click.IntRange(min=0), help="Version of the corpus; default: the newest.")
@output_option
@form_option
def kmer_command(
    kmer: str,
    min_count: int,
    source: str | None,
    strand: Strand,
    positions: int,
    limit: int,
    version: int | None,
    output: Path | None,
    form: str,
) -> None:
    """Find the sequences that hold a k-mer, those with most occurrences first.

    Occurrences may overlap. A position is that of the leftmost letter on the strand as stored, from 0, with + or - for
    the strand of the k-mer. Totals count all sequences, not only the listed hits.
    """
    check_form(form, output)
    home = _home()
    from opengenome_assets.search import find_kmer  # imports Numba
    from opengenome_assets.search.rows import kmer_rows

    with _search_errors():
        matches = find_kmer(
            kmer,
            home=home,
            version=version,
            source=source,
            strand=strand,
            min_count=min_count,
            limit=limit or None,
            positions=positions,
        )
    rows = kmer_rows(matches.hits)
    facts = {"table": SEQUENCE_SHARDS.name, **{name: value for name, value in vars(matches).items() if name != "hits"}}
    if positions:
        facts["positions_each"] = positions
    else:
        rows = rows.drop_columns(["occurrences"])
    tell(HitTable(rows, facts), form, output, _kmer_lines(matches.hits, positions), _kmer_summary(matches))


def _home() -> str:
    with setting_errors():
        return read_home()


@contextmanager
def _search_errors() -> Iterator[None]:
    """Show a faulty query, source, version or table as an error of the command."""
    from opengenome_assets.search.index import UnknownSourceError
    from opengenome_assets.search.queries import QueryError
    from opengenome_assets.storage.parquet.file import DamagedFileError
    from opengenome_assets.storage.seals import DamagedTableError
    from opengenome_assets.storage.snapshot import MissingTableError, MissingVersionError

    try:
        yield
    except (
        DamagedFileError,
        DamagedTableError,
        MissingTableError,
        MissingVersionError,
        QueryError,
        UnknownSourceError,
    ) as error:
        raise click.ClickException(printable(str(error))) from error


def _read_queries(values: Sequence[str]) -> tuple[list[Query], list[Refused]]:
    """Return the queries that --query names, and what is refused.

    Of several values, a query without a name gets its place among the queries as a number.
    """
    from opengenome_assets.search.queries import UNNAMED, QueryError, Refused, sort_queries

    if values.count("-") > 1:
        raise click.UsageError("--query - is given more than once, and standard input can be read only once")
    queries: list[Query] = []
    refused: list[Refused] = []
    for value in values:
        text = _read_text(value)
        given = "standard input" if value == "-" else f"--query {shorten(value, 60)}"
        try:
            good, bad = sort_queries(text)
        except QueryError as error:
            refused.append(Refused(given, 0, 0, str(error)))
            continue
        refused += [Refused(given, each.record, each.line, each.reason) for each in bad]
        for query in good.values():
            numbered = query.name == UNNAMED and len(values) > 1
            queries.append(replace(query, name=f"{UNNAMED}{len(queries) + 1}") if numbered else query)
    return queries, refused


def _read_text(value: str) -> bytes:
    """Return the content of the sequence, file or standard input that --query names."""
    if value == "-":
        return _decompressed(sys.stdin.buffer.read(), "standard input")
    if value.startswith(">"):
        return value.encode()
    is_sequence, is_file = SEQUENCE.fullmatch(value), os.path.isfile(value)
    if is_sequence and is_file:
        raise click.UsageError(
            f"--query {value} can be a sequence and is a file here: write ./{value} for the file, or type the sequence "
            "in another folder"
        )
    if is_sequence:
        return value.encode()
    if not is_file:
        odd = next((letter for letter in value if not SEQUENCE.fullmatch(letter)), "")
        kind = "a folder" if os.path.isdir(value) else "no file" if os.path.exists(value) else "not there"
        raise click.UsageError(
            f"--query {shorten(value, 60)!r} is {kind}, and no sequence either"
            f"{f': {odd!r} is no nucleotide letter' if odd else ''}. Expected a sequence, a file or -"
        )
    try:
        return _decompressed(Path(value).read_bytes(), value)
    except OSError as error:
        raise click.ClickException(f"{value} cannot be read: {error.strerror or error}") from error


def _decompressed(stored: bytes, name: str) -> bytes:
    from opengenome_assets.intake.kinds import FASTA
    from opengenome_assets.intake.streams import DecompressedStream, StreamError

    try:
        with DecompressedStream(cast(io.RawIOBase, io.BytesIO(stored)), FASTA, name=name) as plain:
            return plain.read()
    except StreamError as error:
        raise click.ClickException(str(error)) from error


def _similar_lines(query: Query, hits: Sequence[Hit]) -> list[str]:
    title = f"{shorten(query.name, 60)}, {plural(len(query.sequence), 'base')}"
    if not hits:
        return [f"{title}: no hits", ""]
    heading = ("rank", "seq_id", "source", "similarity", "containment", "identity", "strand", "length", "description")
    rows = [
        (
            f"{hit.rank:,}",
            shorten(hit.seq_id, NAME),
            shorten(hit.source),
            f"{hit.similarity:.6f}",
            "" if hit.containment is None else f"{hit.containment:.4f}",
            "" if hit.identity is None else f"{100 * hit.identity:.2f} %",
            hit.strand,
            f"{hit.length:,}",
            shorten(hit.description, DESCRIPTION),
        )
        for hit in hits
    ]
    return [
        f"{title}, {_kmers_compared(hits[0])}:",
        *(f"  {line}" for line in aligned([heading, *rows], right=(0, 3, 4, 5, 7))),
        "",
    ]


def _kmers_compared(hit: Hit) -> str:
    """Say what a containment counts, or why there is none."""
    return f"too short for {hit.k}-mers" if hit.containment is None else f"containment of {hit.k}-mers"


def _kmer_summary(matches: KmerMatches) -> str:
    kmer = f"{matches.kmer} or its reverse complement" if matches.strand == "both" else matches.kmer
    least = f" at least {matches.min_count:,} times" if matches.min_count > 1 else ""
    sequences = plural(matches.sequences_searched, "sequence")
    searched = f"{sequences} in version {matches.version} of {SEQUENCE_SHARDS.name}"
    if not matches.sequences:
        return f"No hits: none of {searched} holds {kmer}{least}."
    first = len(matches.hits)
    listed = f" The first {f'{first:,} are' if first > 1 else 'is'} listed." if first < matches.sequences else ""
    in_all = plural(matches.occurrences, "time")
    return f"{matches.sequences:,} of {searched} hold {kmer}{least}, {in_all} in all.{listed}"


def _kmer_lines(hits: Sequence[KmerHit], positions: int) -> list[str]:
    if not hits:
        return []
    heading = ("rank", "seq_id", "source", "count", "reverse", "length", "positions" if positions else "description")
    rows = [
        (
            f"{rank:,}",
            shorten(hit.seq_id, NAME),
            shorten(hit.source),
            f"{hit.count:,}",
            f"{hit.reverse:,}",
            f"{hit.length:,}",
            _places(hit) if positions else shorten(hit.description, DESCRIPTION),
        )
        for rank, hit in enumerate(hits, 1)
    ]
    return [*aligned([heading, *rows], right=(0, 3, 4, 5)), ""]


def _places(hit: KmerHit) -> str:
    """Write the first places for people, and the number of others."""
    places = " ".join(f"{place.start}{place.strand}" for place in hit.occurrences[:SHOWN])
    more = hit.count - min(SHOWN, len(hit.occurrences))
    return f"{places} and {more:,} more" if more else places
