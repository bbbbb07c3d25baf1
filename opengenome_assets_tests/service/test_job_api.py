"""Jobs over HTTP: sent, followed, cancelled and read, and every refusal with its reason."""

import errno
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import httpx
import pyarrow.parquet as pq
import pytest
from fastapi.testclient import TestClient

from opengenome_assets.engine.processes import Processes
from opengenome_assets.proteins.settings import SAMPLE_FOLDER
from opengenome_assets.service.app import create_app
from opengenome_assets.service.jobs.work import work_on_waiting
from opengenome_assets.service.settings import ServerSettings
from opengenome_assets.settings import Settings
from opengenome_assets_tests.processes import wait_for
from opengenome_assets_tests.service.conftest import running
from opengenome_assets_tests.service.lines import KIND, jobs_in

LARGE = "a\nb\nc\nd\n"  # one line more than is done at once


@contextmanager
def serving(home: Path, **limits: Any) -> Iterator[TestClient]:
    """Run the application with the kind of lines."""
    settings = ServerSettings(**{"requests_per_minute": 0, **limits})
    app = create_app(Settings(home=str(home)), settings, {KIND.name: KIND})
    with TestClient(app, base_url="http://localhost") as client:
        yield client


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def client(home: Path) -> Iterator[TestClient]:
    with serving(home) as client:
        yield client


def post(client: TestClient, text: str = "a\nb\n", name: str = "a.txt", **options: Any) -> httpx.Response:
    return client.post("/api/lines", params={"name": name, **options}, content=text.encode())


def detail(answer: httpx.Response, status: int) -> str:
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), answer.text
    return str(answer.json()["detail"])


def work(home: Path) -> None:
    assert work_on_waiting(jobs_in(home), KIND, Processes(1), "run", lambda _: None) == []


def test_a_small_job_is_answered_with_its_results(client):
    answer = post(client)
    job = answer.json()
    assert (answer.status_code, job["state"], job["results"]) == (200, "done", [{"file": "a.txt", "lines": 2}])
    status = client.get(urljoin("http://localhost/api/lines", answer.headers["location"]))
    assert status.json()["state"] == "done"
    assert post(client).json()["ended"] == job["ended"]  # the same job


def test_a_large_job_is_taken_and_followed_to_its_results(client, home):
    answer = post(client, LARGE)
    job = answer.json()
    assert (answer.status_code, job["state"], job["place"], job["results"]) == (202, "waiting", 1, None)
    path = f"/api/lines/{job['id']}"
    assert "it has no results yet. Ask for its status" in detail(client.get(f"{path}/results"), 409)
    work(home)
    assert client.get(f"{path}/status").json()["percent"] == 100
    page = client.get(f"{path}/results").json()
    assert (page["rows"], page["next"], page["table"]["version"]) == ([{"file": "a.txt", "lines": 4}], None, 0)
    assert [each["id"] for each in client.get("/api/lines").json()] == [job["id"]]
    assert 'route="/api/lines/{identity}/status"' in client.get("/metrics").text


def test_files_are_uploaded_once_and_named_in_several_jobs(client):
    content = LARGE.encode()
    sha256 = hashlib.sha256(content).hexdigest()
    body = {"files": [{"name": "b.txt", "sha256": sha256}], "options": {"factor": 2}}
    assert f"b.txt: no file with the SHA-256 {sha256} is here. Send it first: PUT /api/uploads/" in detail(
        client.post("/api/lines", json=body), 409
    )
    assert client.put(f"/api/uploads/{sha256}", content=content).json()["complete"]
    assert client.put(f"/api/uploads/{sha256}", content=content).json()["bytes"] == len(content)
    first = client.post("/api/lines", json=body)
    second = client.post("/api/lines", json={**body, "options": {}})
    assert (first.status_code, second.status_code) == (202, 202)
    assert first.json()["id"] != second.json()["id"]


def test_a_sender_who_knows_no_checksum_uploads_too(client, home):
    content = LARGE.encode()
    sent = client.post("/api/uploads", content=content).json()
    assert sent == {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content), "complete": True}
    body = {"files": [{"name": "b.txt", "sha256": sent["sha256"]}]}
    assert client.post("/api/lines", json=body).json()["state"] == "waiting"
    with serving(home, max_upload_bytes=5) as small:
        assert "at most 5 bytes" in detail(small.post("/api/uploads", content=iter([b"x" * 4] * 2)), 413)
    assert [path.name for path in jobs_in(home).inbox.folder.iterdir()] == [sent["sha256"]]


def test_the_overview_has_kinds_and_jobs_the_newest_first(client):
    ids = [post(client, LARGE, factor=number).json()["id"] for number in range(3)]
    overview = client.get("/api/jobs").json()
    (kind,) = overview["kinds"]
    assert (kind["name"], kind["path"], kind["unit"]) == ("lines", "api/lines", "line")
    assert kind["roles"] == {"text": "text", "other": "more text"}
    assert kind["options"]["factor"]["default"] == 1
    assert kind["forms"] == ["json", "ndjson", "tsv", "parquet", "shout"]
    assert (overview["client"], overview["scope"], overview["total"]) == ("testclient", "admin", 3)
    assert [job["id"] for job in overview["jobs"]] == ids[::-1]
    assert [job["id"] for job in client.get("/api/jobs", params={"limit": 1}).json()["jobs"]] == ids[:1:-1]


def test_an_upload_goes_on_where_it_was_cut(client, home):
    content = b"line\n" * 1000
    sha256 = hashlib.sha256(content).hexdigest()
    path = f"/api/uploads/{sha256}"
    assert "Nothing of a file" in detail(client.get(path), 404)
    inbox = jobs_in(home).inbox
    with inbox.resuming(sha256, 0) as receiver:
        receiver.write(content[:1234])
    assert client.get(path).headers["upload-offset"] == "1234"
    refused = client.put(path, content=content)
    assert "expected to go on at byte 1,234, found 0" in detail(refused, 409)
    assert refused.headers["upload-offset"] == "1234"
    assert client.put(path, content=content[1234:], headers={"Upload-Offset": "1234"}).json()["complete"]
    assert client.get(path).json() == {"sha256": sha256, "bytes": len(content), "complete": True}


def test_an_upload_of_other_bytes_or_too_many_is_refused(home):
    with serving(home, max_upload_bytes=100) as client:
        sha256 = "0" * 64
        assert f"expected bytes with the SHA-256 {sha256}, found" in detail(
            client.put(f"/api/uploads/{sha256}", content=b"other"), 422
        )
        assert "Expected a body of at most 100 bytes, found 101 or more" in detail(
            client.put(f"/api/uploads/{sha256}", content=b"x" * 101), 413
        )
        assert "at most 100 bytes" in detail(client.put(f"/api/uploads/{sha256}", content=iter([b"x" * 60] * 2)), 413)
        with jobs_in(home).inbox.resuming(sha256, 0) as receiver:
            receiver.write(b"x" * 60)
        assert "at most 100 bytes" in detail(post(client, "x" * 101), 413)
        rest = client.put(f"/api/uploads/{sha256}", content=b"x" * 60, headers={"Upload-Offset": "60"})
        assert "expected a file of at most 100 bytes, found more" in detail(rest, 413)


@pytest.mark.parametrize(
    ("request_", "status", "said"),
    [
        ({"content": b"a\n"}, 422, "Expected the name of the file as query parameter name"),
        ({"params": {"name": "../a"}, "content": b"a\n"}, 422, "expected a file name of up to 200 letters"),
        ({"params": {"name": "a", "factor": "x"}, "content": b"a\n"}, 422, "factor: Input should be a valid integer"),
        ({"params": {"name": "a", "colour": "x"}, "content": b"a\n"}, 422, "colour: Extra inputs are not permitted"),
        ({"params": [("name", "a"), ("name", "b")], "content": b"a\n"}, 422, "Expected each query parameter once"),
        ({"params": {"name": "a"}, "content": b"bad\n"}, 422, "a: expected good lines, found bad"),
        ({"json": {"files": []}, "params": {"name": "a"}}, 422, "Expected no query parameters beside JSON"),
        ({"json": {"files": [{"name": "a"}]}}, 422, "files.0.sha256: Field required"),
        ({"json": {"file": 1}}, 422, "files: Field required; file: Extra inputs"),
        ({"content": b"{", "headers": {"content-type": "application/json"}}, 422, "body: Invalid JSON"),
        ({"json": {"files": [{"name": "a", "sha256": "../../x"}]}}, 409, "no file with the SHA-256 ../../x is here"),
    ],
)
def test_requests_that_cannot_be_taken_say_what_is_expected(client, home, request_, status, said):
    assert said in detail(client.post("/api/lines", **request_), status)
    assert jobs_in(home).all() == []


def test_ids_that_do_not_exist_and_other_parameters_are_refused(client):
    for path in ("status", "results", "events"):
        assert f"there is no job {'0' * 64}" in detail(client.get(f"/api/lines/{'0' * 64}/{path}"), 404)
    assert "there is no job" in detail(client.delete(f"/api/lines/{'0' * 64}"), 404)
    assert "expected an id of 6 to 64 hexadecimal digits" in detail(client.get("/api/lines/not-an-id/status"), 404)
    job = post(client).json()["id"]
    assert "Expected a format of json, ndjson" in detail(client.get(f"/api/lines/{job}/results?format=xls"), 422)
    assert "has no table 'x'" in detail(client.get(f"/api/lines/{job}/results?table=x"), 404)
    assert "query.colour" in detail(client.get(f"/api/lines/{job}/results?colour=x"), 422)


def test_results_are_pages_in_many_forms_with_the_data_version_as_etag(client, home, tmp_path):
    files = []
    for name in ("c", "a", "b"):
        sha256 = hashlib.sha256(name.encode()).hexdigest()
        client.put(f"/api/uploads/{sha256}", content=name.encode())
        files.append({"name": f"{name}.txt", "sha256": sha256})
    job = client.post("/api/lines", json={"files": files}).json()
    path = f"/api/lines/{job['id']}/results"
    first = client.get(path, params={"limit": 2})
    assert [row["file"] for row in first.json()["rows"]] == ["a.txt", "b.txt"]
    assert first.json()["next"] == 2
    assert first.headers["etag"] == f'"{job["tables"][0]["data_version"]}"'
    following = client.get(urljoin(f"http://localhost{path}", first.links["next"]["url"]))
    assert [row["file"] for row in following.json()["rows"]] == ["c.txt"]
    assert "next" not in following.links
    assert client.get(path, headers={"If-None-Match": first.headers["etag"]}).status_code == 304
    rows = client.get(path).json()["rows"]
    lines = client.get(path, params={"format": "ndjson"}).text.splitlines()
    assert [json.loads(line) for line in lines] == rows
    assert client.get(path, params={"format": "tsv"}).text.splitlines()[1] == "a.txt\t1"
    (tmp_path / "r.parquet").write_bytes(client.get(path, params={"format": "parquet"}).content)
    assert pq.read_table(tmp_path / "r.parquet").to_pylist() == rows
    shout = client.get(path, params={"format": "shout"})
    assert (shout.text, shout.headers["content-type"]) == ("3!\n", "text/plain; charset=utf-8")


def test_a_job_is_cancelled_and_twice_is_no_error(client, home):
    path = f"/api/lines/{post(client, LARGE).json()['id']}"
    assert client.delete(path).json()["state"] == "cancelled"
    assert client.delete(path).json()["state"] == "cancelled"
    assert "is cancelled, and has no results" in detail(client.get(f"{path}/results"), 409)
    work(home)
    assert client.get(f"{path}/status").json()["state"] == "cancelled"
    done = f"/api/lines/{post(client).json()['id']}"
    assert "is done: there is nothing to cancel" in detail(client.delete(done), 409)


def test_events_tell_each_change_until_the_end(client, home):
    job = post(client, LARGE, name="wait.txt").json()
    worker = threading.Thread(target=work, args=(home,))
    states = []
    with client.stream("GET", f"/api/lines/{job['id']}/events") as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        worker.start()
        wait_for(lambda: jobs_in(home).get(job["id"]).state == "running", "work")
        (home / "go").touch()
        for line in stream.iter_lines():
            if line.startswith("data: "):
                states.append(json.loads(line.removeprefix("data: "))["state"])
    worker.join()
    assert states[-1] == "done"
    assert states == sorted(set(states), key=states.index)


def test_one_client_may_have_only_so_many_jobs_waiting(home):
    with serving(home, max_jobs_waiting=2) as client:
        for number in range(2):
            assert post(client, LARGE, factor=number).status_code == 202
        refused = post(client, LARGE, factor=3)
        assert "Expected at most 2 waiting jobs of one client, found more" in detail(refused, 429)
        assert refused.headers["retry-after"] == "60"


def test_a_failed_job_is_answered_with_its_reason(client):
    job = post(client, failure="stays").json()
    assert (job["state"], job["error"]) == ("failed", "the lines cannot be counted. Send others")
    retried = post(client, failure="passes").json()
    assert (retried["state"], retried["attempts"]) == ("waiting", 1)
    assert "No space left on device" in retried["error"]


def test_a_full_disk_and_a_home_that_cannot_be_written_have_their_answers(home, tmp_path, monkeypatch):
    home.parent.mkdir(exist_ok=True)
    home.mkdir()
    (home / "jobs").write_text("no folder")
    with serving(home) as client:
        assert "The server cannot write to its home" in detail(post(client), 503)
    (home / "jobs").unlink()

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with serving(home) as client:
        monkeypatch.setattr("os.fsync", full)
        assert "The server cannot write: its disk is full. Tell its operator" in detail(post(client), 507)
    monkeypatch.undo()
    assert jobs_in(home).all() == []


def test_jobs_need_the_token_too(home):
    with serving(home, token="secret") as client:
        assert post(client).status_code == 401
        assert client.put(f"/api/uploads/{'0' * 64}", content=b"x").status_code == 401
        client.headers["Authorization"] = "Bearer secret"
        assert post(client).status_code == 200


def test_the_description_names_every_route_of_every_kind(client):
    paths = client.get("/openapi.json").json()["paths"]
    assert set(paths["/api/lines"]) == {"get", "post"}
    assert set(paths["/api/lines/{identity}"]) == {"delete"}
    assert {"status", "results", "events"} == {
        path.rpartition("/")[2] for path in paths if path.startswith("/api/lines/{identity}/")
    }
    parameters = {each["name"] for each in paths["/api/lines"]["post"]["parameters"]}
    assert parameters == {"name", "factor", "failure"}
    assert set(paths["/api/uploads/{sha256}"]) == {"get", "put"}
    assert set(paths["/api/uploads"]) == {"post"}


@pytest.mark.slow
def test_proteins_are_sent_to_a_real_server_and_answered(tmp_path):
    content = (SAMPLE_FOLDER / "escherichia-prot_proteins.fasta").read_bytes()
    with running(tmp_path / "home", ready=False) as server, httpx.Client(base_url=server.url, timeout=120) as client:
        parameters = {"name": "escherichia_proteins.fasta", "organism": "Escherichia"}
        answer = client.post("/api/alignments/batch", params=parameters, content=content)
        assert answer.status_code == 200, answer.text
        assert [row["symbol"] for row in answer.json()["results"]] == ["nfsA_K141STOP", "nfsA_R15C", "pmrB_C84R"]
        url = urljoin(urljoin(f"{server.url}/api/alignments/batch", answer.headers["location"]), "results")
        assert client.get(url, params={"format": "hamronization"}).text.count("\n") == 4
        refused = client.post("/api/alignments/batch", params={"name": "a.faa"}, content=b">x\nMK1\n")
        assert "a.faa, record 1, line 1: illegal letter '1' at position 3" in detail(refused, 422)
        refused = client.post("/api/searches", params={"name": "a.fasta"}, content=b">x\nACGT\n")
        assert "there is nothing to search yet" in detail(refused, 422)
