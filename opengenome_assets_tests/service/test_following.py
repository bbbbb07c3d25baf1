"""The index follows its table: one not made yet, a new version, a damaged one."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from opengenome_assets.search import SearchIndex
from opengenome_assets.service import following
from opengenome_assets_tests.processes import wait_for
from opengenome_assets_tests.service.conftest import QUERY, letters, make, serving
from opengenome_assets_tests.service.test_api import problem


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look for new versions more often than a server does."""
    monkeypatch.setattr(following, "SECONDS", 0.05)


def test_what_is_not_made_yet_is_said_and_found_once_it_is(tmp_path: Path) -> None:
    with serving(tmp_path, ready=False) as client:
        wait_for(lambda: "make run" in (client.get("/health/ready").json()["problem"] or ""), "look at the table")
        assert client.get("/health/ready").status_code == 503
        assert client.get("/health/live").status_code == 200
        answer = client.post("/api/similar", json={"queries": QUERY})
        assert "make run" in problem(answer, 503)
        assert answer.headers["retry-after"] == "3"
        assert "opengenome_index_version -1.0" in client.get("/metrics").text
        make(tmp_path)
        wait_for(lambda: client.get("/health/ready").status_code == 200, "index")
        assert (
            client.post("/api/similar", json={"queries": QUERY}).json()["results"][0]["hits"][0]["seq_id"] == "plant7"
        )


@pytest.mark.long
def test_a_new_version_takes_over_while_searches_end_on_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(tmp_path)
    begun, go_on = threading.Event(), threading.Event()
    similar = SearchIndex.similar

    def slow(self: SearchIndex, *arguments: Any, **options: Any) -> Any:
        if self.version == 0:
            begun.set()
            assert go_on.wait(60)
        return similar(self, *arguments, **options)

    with serving(tmp_path) as client, ThreadPoolExecutor() as pool:
        monkeypatch.setattr(SearchIndex, "similar", slow)
        under_way = pool.submit(client.post, "/api/similar", json={"queries": QUERY})
        assert begun.wait(60)
        make(tmp_path, new={"newcomer of the next version": QUERY})
        wait_for(lambda: client.get("/health/ready").json()["tfidf_index"] == 1, "new version")
        fresh = client.post("/api/similar", json={"queries": QUERY}).json()
        assert fresh["searched"]["tfidf_index"] == fresh["searched"]["sequence_shards"] == 1
        assert fresh["results"][0]["hits"][0]["seq_id"] == "newcomer"
        assert client.get("/api/sequences", params={"seq_id": "newcomer"}).json()["sequence_shards"] == 1
        go_on.set()
        old = under_way.result().json()
        assert old["searched"]["tfidf_index"] == old["searched"]["sequence_shards"] == 0
        assert old["results"][0]["hits"][0]["seq_id"] == "plant7"


@pytest.mark.long
def test_a_damaged_version_leaves_the_one_before_and_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = tmp_path / "tables" / "tfidf_index"
    make(tmp_path)
    before = set(table.rglob("*.parquet"))
    open_index = SearchIndex.open

    def damage_and_open(*arguments: Any, **options: Any) -> SearchIndex:
        for path in set(table.rglob("*.parquet")) - before:
            path.write_bytes(b"PAR1")
        return open_index(*arguments, **options)

    with serving(tmp_path) as client:
        with monkeypatch.context() as patch:
            patch.setattr(SearchIndex, "open", damage_and_open)
            make(tmp_path, new={"newcomer of the next version": letters(300, 1)})
            wait_for(lambda: client.get("/health/ready").json()["problem"], "word of the damage")
            health = client.get("/health/ready")
            assert (health.status_code, health.json()["tfidf_index"]) == (200, 0)
            assert "is damaged" in health.json()["problem"]
            assert client.get("/api/index").json()["problem"] == health.json()["problem"]
            assert client.post("/api/similar", json={"queries": QUERY}).json()["searched"]["tfidf_index"] == 0
            metrics = client.get("/metrics").text
            assert "opengenome_index_current 0.0" in metrics
            assert "opengenome_index_failures_total 0.0" not in metrics
        make(tmp_path, new={"newcomer of another version": letters(300, 2)})
        wait_for(lambda: client.get("/health/ready").json()["tfidf_index"] == 2, "version that is whole")
        assert client.get("/health/ready").json()["problem"] is None
        assert "opengenome_index_current 1.0" in client.get("/metrics").text
