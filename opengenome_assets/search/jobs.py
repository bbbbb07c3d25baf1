"""Jobs of the search: many queries, each compared with every sequence of the corpus.

Belongs here: the options, what is refused, and how the asset is made for a job. Does not belong here: searching
(``query_hits.py``). A job searches the version of the index that is the newest when it is sent, also if a newer one is
made before it is worked on.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from typing import Any

from pydantic import Field

from opengenome_assets import words
from opengenome_assets.corpus.tables import SEQUENCE_SHARDS, TFIDF_INDEX, TFIDF_TERMS
from opengenome_assets.engine import Engine
from opengenome_assets.framework.jobs import Checked, FailedError, JobKind, Options, RefusedError, Sent, make_tables
from opengenome_assets.search.options import Sort, Strand
from opengenome_assets.search.tables import QUERY_HITS
from opengenome_assets.storage.snapshot import MissingTableError, MissingVersionError
from opengenome_assets.storage.tables import Home

QUERIES = "queries"
NAMED = 20  # refused records that a job's notes name
SMALL = 100  # as many as a request of the search may have


class QueryOptions(Options):
    """Options of a search with many queries, as query_hits has them."""

    top_n: int = Field(default=10, ge=1, le=1000, description="Maximum number of hits per query.")
    threshold: float = Field(default=0.0, ge=0, le=1, description="Smallest similarity of a hit.")
    source: str | None = Field(default=None, max_length=1000, description="Search this source only.")
    strand: Strand = Field(default="both", description="both: search the reverse complement of each query too.")
    sort: Sort = Field(default="similarity", description="Order of the hits.")


def check(sent: Sent) -> Checked:
    """Read the queries.

    Raises
    ------
    RefusedError
        If a file cannot be read, no record of it can be searched with, or there is no index.
    """
    from opengenome_assets.intake.kinds import FASTA, is_archive_name
    from opengenome_assets.intake.streams import StoredFile
    from opengenome_assets.search.queries import sort_files

    home = Home(sent.platform.home)
    faults: list[str] = []
    try:
        index = home.table(TFIDF_INDEX).at()
        inputs = {name: given.version for name, given in index.provenance.inputs.items()}
        terms = home.table(TFIDF_TERMS).at()
        if sent.options.source and sent.options.source not in (
            sources := sorted(set(index.read(["source"])["source"].to_pylist()))
        ):
            faults.append(f"source: expected one of {words.listing(sources, 20)}; found {sent.options.source!a}")
    except MissingTableError as error:
        raise RefusedError(
            [f"there is nothing to search yet: the table {TFIDF_INDEX.name} has not been made. Make it with: make run"]
        ) from error
    files = []
    for file in sent.files:
        if is_archive_name(file.name) or not FASTA.has_name(file.name):
            faults.append(f"{file.name}: expected a name that ends in {', '.join(FASTA.endings)}, compressed or not")
        else:
            files.append((file.name, (StoredFile(file.name, str(file.path), file.sha256),)))
    queries, refused = sort_files(files)
    # A file of which nothing can be read, or nothing at all, is worth sending again.
    faults += [str(each) for each in refused if not each.record or not queries]
    if not sent.files:
        faults.append("expected a FASTA file of queries, found none")
    if faults:
        raise RefusedError(faults)
    options = sent.options.model_dump(mode="json")
    versions = {TFIDF_INDEX.name: index.version, TFIDF_TERMS.name: terms.version}
    versions[SEQUENCE_SHARDS.name] = inputs[SEQUENCE_SHARDS.name]
    settings = {"options": options, "index": index.provenance.data_version, "versions": versions}
    notes = [f"Not searched: {each}" for each in refused[:NAMED]]
    if len(refused) > NAMED:
        notes.append(f"Not searched: {len(refused) - NAMED:,} more records")
    return Checked(len(queries), settings, tuple(notes))


def perform(sent: Sent, settings: Mapping[str, Any], engine: Engine) -> None:
    """Make the table of hits from the queries and the pinned version of the index."""
    from opengenome_assets.framework.group import assets_of
    from opengenome_assets.search.query_hits import define
    from opengenome_assets.search.settings import SearchSettings

    for name, version in settings["versions"].items():
        if not sent.home.table(name).exists():
            _link(Home(sent.platform.home), name, version, sent.home)
    section = SearchSettings.of({"queries": str(sent.files[0].path.parent)})
    config = {QUERY_HITS.name: sent.options.model_dump(mode="json")}
    make_tables(assets_of(define(section)), (QUERY_HITS,), sent.home, engine, config)


def _link(home: Home, name: str, version: int, own: Home) -> None:
    """Give a job's home a version of a table, as its version 0.

    Raises
    ------
    FailedError
        If that version has been removed.
    """
    from opengenome_assets.operations.reproduce import link

    shutil.rmtree(own.table(name).uri, ignore_errors=True)  # an attempt that ended within this
    try:
        record = home.table(name).provenance(version)
        inputs = {each: given.model_copy(update={"version": 0}) for each, given in record.inputs.items()}
        link(home, name, version, record.model_copy(update={"inputs": inputs}), own)
    except (MissingTableError, MissingVersionError) as error:
        raise FailedError(f"{error}. Send the queries again, to search the newest version") from error


KIND = JobKind(
    name="queries",
    path="searches",
    description="Many sequences, each compared with every sequence of the corpus.",
    unit="query sequence",
    roles={QUERIES: "FASTA of DNA (.fasta, .fa, .fna), compressed or not"},
    options=QueryOptions,
    results=(QUERY_HITS,),
    steps=(TFIDF_INDEX, TFIDF_TERMS, SEQUENCE_SHARDS, QUERY_HITS),
    check=check,
    perform=perform,
    small=SMALL,
)
