"""The audit log: which requests it names and with what, its rotation, and that nobody waits for it."""

import json
import logging
import multiprocessing
import stat
from pathlib import Path
from typing import Any

import pytest

from opengenome_assets.service.access import audit
from opengenome_assets.service.access.audit import AuditLog
from opengenome_assets.service.access.tokens import tokens_of
from opengenome_assets_tests.service.test_job_api import LARGE, post, serving


def lines(home: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (home / "access" / "audit.jsonl").read_text().splitlines()]


def test_requests_are_named_with_who_what_and_outcome(tmp_path):
    home = tmp_path / "home"
    _, text = tokens_of(str(home)).create("laboratory", "submit", 1)
    with serving(home) as client:
        client.get("/api/lines", headers={"X-Request-ID": "1" * 32})
        client.headers["Authorization"] = f"Bearer {text}"
        job = post(client, LARGE).json()["id"]
        small = post(client).json()["id"]
        for quiet in ("/api/lines", f"/api/lines/{job}/status", "/api/index", "/health/live", "/"):
            client.get(quiet)
        client.get(f"/api/lines/{small}/results")
        client.delete(f"/api/lines/{job}")
        client.delete(f"/api/lines/{'0' * 64}")
        tokens_of(str(home)).revoke("laboratory")
        client.app.state.live.refresh()
        post(client)
    found = lines(home)
    assert text not in (home / "access" / "audit.jsonl").read_text()
    seen = [
        (line["who"], line["action"], line["outcome"], line.get("job", ""))
        for line in found
        if line["who"] != "server"  # which may have seen the change in the meantime itself
    ]
    assert seen == [
        ("unknown", "GET /api/lines", "401", ""),
        ("laboratory", "POST /api/lines", "202", job),
        ("laboratory", "POST /api/lines", "200", small),
        ("laboratory", "GET /api/index", "503", ""),  # what fails is named, also if it asks only
        ("laboratory", f"GET /api/lines/{small}/results", "200", small),
        ("laboratory", f"DELETE /api/lines/{job}", "200", job),
        ("laboratory", f"DELETE /api/lines/{'0' * 64}", "404", "0" * 64),
        ("laboratory", "POST /api/lines", "401", ""),
    ]
    assert found[0]["address"] == "testclient"
    assert all(line["time"].endswith("+00:00") for line in found)
    assert [line["action"] for line in found if line["who"] == "server"] == ["read tokens"]


def _write(path: Path, name: str) -> None:
    log = AuditLog(path)
    for number in range(100):
        log.write(name, f"{number} " + "x" * 100, "done")


def test_several_processes_write_and_rotate_one_log(tmp_path, monkeypatch):
    monkeypatch.setattr(audit, "BYTES", 20_000)
    path = tmp_path / "audit.jsonl"
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_write, args=(path, name)) for name in "ab"]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    files = sorted(tmp_path.glob("audit.jsonl*"))
    assert len(files) > 1
    assert max(each.stat().st_size for each in files) <= 20_000 + 200  # a line more
    assert {stat.S_IMODE(each.stat().st_mode) for each in files} == {0o600}
    found = [json.loads(line) for each in files for line in each.read_text().splitlines()]
    assert sorted((line["who"], int(line["action"].split()[0])) for line in found) == [
        (name, number) for name in "ab" for number in range(100)
    ]


@pytest.mark.usefixtures("caplog")
def test_a_log_that_cannot_be_written_is_said_once_and_stops_nobody(tmp_path, caplog):
    home = tmp_path / "home"
    home.mkdir()
    (home / "access").write_text("no folder")
    with caplog.at_level(logging.ERROR, "opengenome.access"):
        log = AuditLog(home / "access" / "audit.jsonl")
        log.write("a", "b", "c")
        log.write("a", "b", "c")
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 1
    assert "the audit log cannot be written" in said[0]
