"""How many requests a client may send (rate limit), and how many searches run at a time.

Belongs here: counting. Does not belong here: refusing a request (``guards.py``).
"""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable
from http import HTTPStatus
from typing import TypeVar

import anyio
import anyio.to_thread

from opengenome_assets.service.metrics import Metrics
from opengenome_assets.service.problems import ProblemError

_Result = TypeVar("_Result")

# Maximum time for a search to wait for its turn.
PATIENCE_SECONDS = 30.0

# Maximum number of searches at a time; each uses all cores, and the number bounds their memory.
AT_A_TIME = 4

# Maximum number of clients remembered for the rate limit; the least recently seen one is forgotten.
CLIENTS = 10_000


class Pace:
    """Rate limit of each client: a token bucket that holds the requests of one minute and fills evenly.

    Parameters
    ----------
    per_minute
        Maximum requests per minute; 0 for any number.
    clock
        Monotonic clock, in seconds.
    """

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.per_minute = per_minute
        self.clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait(self, client: str) -> int:
        """Count a request and return 0, or the seconds until the next is accepted."""
        if not self.per_minute:
            return 0
        now, rate = self.clock(), self.per_minute / 60
        left, seen = self._buckets.pop(client, (float(self.per_minute), now))
        left = min(self.per_minute, left + (now - seen) * rate)
        wait = 0 if left >= 1 else math.ceil((1 - left) / rate)
        self._buckets[client] = (left if wait else left - 1, now)
        if len(self._buckets) > CLIENTS:
            self._buckets.popitem(last=False)
        return wait


class Turns:
    """A few searches at a time, each in a thread; the others wait for their turn, up to a maximum time."""

    def __init__(self, metrics: Metrics) -> None:
        self._limiter = anyio.CapacityLimiter(AT_A_TIME)
        self._metrics = metrics

    async def run(self, work: Callable[[], _Result]) -> _Result:
        """Run work in a thread, when it is its turn."""
        ticket = object()
        try:
            with anyio.fail_after(PATIENCE_SECONDS):
                await self._limiter.acquire_on_behalf_of(ticket)
        except TimeoutError:
            self._metrics.refusals.labels("turn").inc()
            words = f"No search could begin within {PATIENCE_SECONDS:.0f} s. Try again later"
            raise ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, words, retry_after=5) from None
        try:
            return await anyio.to_thread.run_sync(work)
        finally:
            self._limiter.release_on_behalf_of(ticket)
