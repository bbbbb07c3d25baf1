"""Metrics of the Spark master: its workers, from its page. Spark's own metrics are scraped from Spark itself.

Belongs here: asking the master. Does not belong here: sessions (``engine/spark.py``).
"""

from __future__ import annotations

import json
import logging
import urllib.request

from prometheus_client.core import GaugeMetricFamily, Metric

LOG = logging.getLogger("opengenome.metrics")
TIMEOUT_SECONDS = 5.0


def spark_metrics(page: str, expected: int) -> list[Metric]:
    """Return the number of workers that the master knows as alive, none if it does not answer, and the expected one.

    Parameters
    ----------
    page
        Address of the master's page; empty if there is no cluster.
    expected
        Number of workers that the cluster has.
    """
    if not page:
        return []
    alive = GaugeMetricFamily("opengenome_spark_workers", "Spark workers that the master knows as alive")
    wanted = GaugeMetricFamily("opengenome_spark_workers_expected", "Spark workers that the cluster should have")
    wanted.add_metric([], expected)
    try:
        with urllib.request.urlopen(f"{page.rstrip('/')}/json/", timeout=TIMEOUT_SECONDS) as answer:
            workers = json.load(answer)["workers"]
        alive.add_metric([], sum(worker["state"] == "ALIVE" for worker in workers))
    except (OSError, ValueError, KeyError) as error:
        LOG.warning("Spark's master at %s does not answer: %s", page, error)
        alive.add_metric([], 0)
    return [alive, wanted]
