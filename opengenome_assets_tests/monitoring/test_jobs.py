"""Jobs that were sent, as metrics, as a table of the status page, and as a problem if one waits for long."""

import re
import time
from datetime import UTC, datetime
from pathlib import Path

from prometheus_client.core import GaugeMetricFamily

from opengenome_assets.monitoring.jobs import job_metrics
from opengenome_assets.monitoring.problems import Tracker, problems
from opengenome_assets.monitoring.status import status_page
from opengenome_assets.service.jobs.records import Outcome
from opengenome_assets_tests.service.lines import jobs_in, send


def test_jobs_are_counted_by_state_and_one_that_waits_for_long_is_a_problem(tmp_path: Path) -> None:
    jobs = jobs_in(tmp_path / "home")
    assert job_metrics(jobs, time.time()) == []
    done, cancelled, _, _ = (send(jobs, tmp_path / "sent", "a\n" * number) for number in range(1, 5))
    done.end(Outcome(state="done", at=datetime.now(UTC), seconds=2.5))
    jobs.cancel(cancelled)
    later = time.time() + 3600
    metrics = job_metrics(jobs, later)
    found = {(each.name, *each.labels.values()): each.value for metric in metrics for each in metric.samples}
    waited = found.pop(("opengenome_jobs_oldest_waiting_seconds", "lines"))
    assert 3600 <= waited < 3700
    assert found == {
        ("opengenome_jobs", "lines", "waiting"): 2,
        ("opengenome_jobs", "lines", "running"): 0,
        ("opengenome_jobs", "lines", "done"): 1,
        ("opengenome_jobs", "lines", "failed"): 0,
        ("opengenome_jobs", "lines", "cancelled"): 1,
        ("opengenome_jobs_work_seconds", "lines"): 2.5,
    }
    (problem,) = problems(metrics, later)
    assert problem.summary == "A job of the kind lines has waited for 1 h"
    readable = GaugeMetricFamily("dagster_exporter_last_scrape_success", "", value=1)
    page = status_page([*metrics, readable], [problem], Tracker(), later, 15)
    cells = re.findall("<td>([^<]*)</td>", page.partition("Jobs that were sent")[2])
    assert cells[:7] == ["lines", "2", "1 h", "0", "1", "0", "1"]
