"""Log lines are text, or objects of JSON with the run, the step and the request, by one setting."""

import json
import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from opengenome_assets.logs import JsonLines, json_lines
from opengenome_assets.service.app import create_app
from opengenome_assets.service.settings import ServerSettings
from opengenome_assets.settings import Settings
from opengenome_assets_tests.processes import REPOSITORY, environment

RUN = """
import dagster as dg
from dagster._utils.log import configure_loggers

@dg.asset
def counted(context: dg.AssetExecutionContext) -> None:
    context.log.info("counting \\n 3")

configure_loggers()  # as the webserver and the daemon do before they open the instance
with dg.DagsterInstance.from_config(".") as instance:
    logger = __import__("logging").getLogger("dagster.daemon")
    logger.warning("a daemon's line")
    __import__("structlog").get_logger("dagster").info("a structured line")
    print(dg.materialize([counted], instance=instance).run_id)
"""
SPARK = """
from opengenome_assets.engine.spark import Spark

spark = Spark(master="local[1]")
spark._run_id = "a-run"
spark.spark_context._jvm.org.slf4j.LoggerFactory.getLogger("some.Logger").warn('a "warning"')
spark.stop()
"""


def ran(script: str, home: Path, **settings: str) -> tuple[str, str]:
    """Run a script in the repository; return what it printed, and its standard error."""
    answer = subprocess.run(
        [sys.executable, "-c", script],
        cwd=REPOSITORY,
        env=environment(home, OPENGENOME_SERVICE="tested", **settings),
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert answer.returncode == 0, answer.stderr
    return answer.stdout, answer.stderr


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines() if line]


def test_a_line_holds_the_message_and_the_trace() -> None:
    assert json_lines() is None  # text stays the default
    try:
        raise ValueError("odd \N{SNOWMAN}")
    except ValueError:
        record = logging.LogRecord("a.b", logging.ERROR, __file__, 1, "%s\nfailed", ("it",), sys.exc_info())
    line = json.loads(JsonLines("search").format(record))
    assert line.pop("trace").endswith("ValueError: odd \N{SNOWMAN}")
    assert line.pop("time").endswith("+00:00")
    assert line == {"level": "ERROR", "service": "search", "logger": "a.b", "message": "it\nfailed"}


@pytest.mark.slow
def test_dagsters_processes_and_runs_write_json(tmp_path: Path) -> None:
    printed, errors = ran(RUN, tmp_path / "home", OPENGENOME_LOG_FORMAT="json")
    *servers, run_id = printed.splitlines()
    assert [line["message"] for line in lines("\n".join(servers))] == ["a daemon's line", "a structured line"]
    found = lines(errors)  # every line is one
    assert {line["service"] for line in found} == {"tested"}
    (counting,) = [line for line in found if line["message"] == "counting \n 3"]
    assert (counting["run_id"], counting["step"], counting["level"]) == (run_id, "counted", "INFO")


@pytest.mark.slow
def test_dagsters_lines_are_text_unless_asked_for(tmp_path: Path) -> None:
    printed, errors = ran(RUN, tmp_path / "home")
    assert "- a daemon's line" in printed
    assert "counted - counting" in errors
    assert "{" not in errors


@pytest.mark.slow
def test_sparks_lines_name_the_run(tmp_path: Path) -> None:
    (line,) = [
        json.loads(line)
        for line in ran(SPARK, tmp_path / "home", OPENGENOME_LOG_FORMAT="json")[1].splitlines()
        if "some.Logger" in line
    ]
    assert (line["run_id"], line["service"], line["message"]) == ("a-run", "tested", 'a "warning"')
    (text,) = [line for line in ran(SPARK, tmp_path / "home")[1].splitlines() if "a-run" in line]
    assert text.endswith('WARN a-run Logger: a "warning"')


@pytest.mark.parametrize(("given", "kept"), [("from-the-proxy_1", True), ("short", False), ("a line\\n", False)])
@pytest.mark.long
def test_a_request_has_one_id_in_answer_and_log(
    given: str, kept: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    app = create_app(Settings.of({"home": str(tmp_path)}), ServerSettings.of({}))
    written: list[dict[str, Any]] = []

    class Kept(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            written.append(json.loads(JsonLines("search").format(record)))

    logger, handler = logging.getLogger("opengenome.search"), Kept()
    logger.addHandler(handler)
    try:
        with TestClient(app, base_url="http://localhost") as client, caplog.at_level(logging.INFO, logger.name):
            answer = client.post("/api/similar", json={"queries": "ACGT"}, headers={"X-Request-ID": given})
            client.get("/health/live")
    finally:
        logger.removeHandler(handler)
    identity = answer.headers["X-Request-ID"]
    assert (identity == given) == kept
    (line,) = [line for line in written if line["message"].startswith("POST /api/similar: 503, ")]
    assert line["request_id"] == identity
