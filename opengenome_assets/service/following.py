"""The index follows its table: a new version is opened beside the old one, and then replaces it atomically.

Belongs here: polling and replacing the index. Does not belong here: searching. Requests under way end on the index that
they began with. If a version cannot be opened, the old one stays, and :attr:`FollowedIndex.problem` says why.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import anyio
import anyio.to_thread
import numpy as np

from opengenome_assets.corpus.tables import SEQUENCE_SHARDS, TFIDF_INDEX
from opengenome_assets.search import Query, SearchIndex
from opengenome_assets.service.metrics import Metrics
from opengenome_assets.storage.snapshot import MissingTableError

LOG = logging.getLogger("opengenome.search")

# Polling interval of the table.
SECONDS = 3.0

EXAMPLES = 4

OPENING = "The index is being opened. Try again in a moment"
NOT_MADE = f"There is nothing to search yet: the table {TFIDF_INDEX.name} has not been made. Make it with: make run"


@dataclass(frozen=True)
class Opened:
    """An index, and the version of the corpus it was made from.

    Attributes
    ----------
    index
        The index.
    shards_version
        Version of sequence_shards it was made from; the letters of its hits are read there.
    examples
        seq_id, source, file, description and length of some sequences to try it with.
    """

    index: SearchIndex
    shards_version: int
    examples: Sequence[Mapping[str, Any]]


class FollowedIndex:
    """The newest index that could be opened.

    Parameters
    ----------
    home
        Root of everything the platform writes.
    metrics
        Metrics for the index's version, size and failures.

    Attributes
    ----------
    opened
        The index to search; None until the table has been made.
    problem
        Reason why the index is missing or not the newest; None if it is.
    """

    def __init__(self, home: str, metrics: Metrics) -> None:
        self.opened: Opened | None = None
        self.problem: str | None = OPENING
        self._home = home
        self._metrics = metrics

    def refresh(self) -> None:
        """Open the newest version if it is not open yet. This is slow: call it in a thread."""
        try:
            if self.opened is None or not self.opened.index.is_current():
                self.opened = self._open(self.opened.index if self.opened else None)
            problem = None
        except MissingTableError as error:
            problem = str(error) if self.opened else NOT_MADE
        except Exception as error:  # a damaged table must not end the server
            self._metrics.index_failures.inc()
            problem = f"{type(error).__name__}: {error}"
            if problem != self.problem:
                LOG.exception("the newest version of %s could not be opened", TFIDF_INDEX.name)
        if problem != self.problem:
            LOG.info("searching %s%s", self._named(), f"; {problem}" if problem else "")
        self.problem = problem
        self._metrics.index_current.set(problem is None)

    async def follow(self) -> None:
        """Poll for a new version until cancelled."""
        while True:
            await anyio.to_thread.run_sync(self.refresh)
            await anyio.sleep(SECONDS)

    def _open(self, previous: SearchIndex | None) -> Opened:
        index = SearchIndex.open(self._home, previous=previous)
        if previous is None:  # warm-up: the first search must not wait for machine code
            index.similar([Query("first", b"ACGTACGT" * 4)])
        self._metrics.index_version.set(index.version)
        self._metrics.index_sequences.set(index.sequences)
        self._metrics.index_bytes.set(index.nbytes)
        places = np.linspace(0, index.sequences - 1, min(EXAMPLES, index.sequences)).astype(np.int64)
        return Opened(index, index.provenance.inputs[SEQUENCE_SHARDS.name].version, index.names(places).to_pylist())

    def _named(self) -> str:
        return f"version {self.opened.index.version} of {TFIDF_INDEX.name}" if self.opened else "nothing"
