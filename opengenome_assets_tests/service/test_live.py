"""Settings and tokens that change while the server runs: taken over, or refused with a reason."""

import json
import logging
import os
import shutil
from pathlib import Path

import pytest

from opengenome_assets.service.access.audit import audit_log_of
from opengenome_assets.service.access.tokens import tokens_of
from opengenome_assets.service.live import FIXED, Live
from opengenome_assets.service.settings import ServerSettings
from opengenome_assets.settings import SettingsError
from opengenome_assets_tests.processes import REPOSITORY, wait_for
from opengenome_assets_tests.service.test_job_api import LARGE, post, serving

PREFIX = "OPENGENOME_SEARCH_"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "server.toml"
    path.write_text("max_queries = 7\n")
    return path


def live(tmp_path: Path, **variables: str) -> Live:
    home = str(tmp_path / "home")
    given = ServerSettings.from_environment({f"{PREFIX}{name.upper()}": value for name, value in variables.items()})
    return Live(given, tokens_of(home), audit_log_of(home))


def test_the_file_replaces_the_environment_and_is_read_again(tmp_path, file, caplog):
    running = live(tmp_path, settings_path=str(file), max_queries="5", max_hits="6")
    assert (running.limits.max_queries, running.limits.max_hits) == (7, 6)
    with caplog.at_level(logging.INFO, "opengenome.access"):
        file.write_text('max_hits = 11\nhosts = "genomes.example"\nlog_level = "WARNING"\n')
        running.refresh()
    assert (running.limits.max_queries, running.limits.max_hits) == (5, 11)
    assert running.limits.allowed_hosts == {"genomes.example"}
    assert logging.getLogger("opengenome.search").level == logging.WARNING
    said = "max_queries is 5, max_hits is 11, hosts is 'genomes.example', log_level is 'WARNING'"
    assert [record.getMessage() for record in caplog.records] == [f"new settings: {said}"]
    line = json.loads((tmp_path / "home/access/audit.jsonl").read_text())
    assert (line["who"], line["action"], line["outcome"]) == ("server", "read settings", said)
    logging.getLogger("opengenome.search").setLevel(logging.NOTSET)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("max_queries = ", "server.toml cannot be read as TOML"),
        (
            "max_queries = 'many'",
            "server.toml: OPENGENOME_SEARCH_MAX_QUERIES is 'many': expected a whole number from 1",
        ),
        ("max_queries = 0", "expected a whole number from 1"),
        ("max_query = 1", "server.toml: expected settings named max_body_bytes, "),
        ("hosts = 'http://a'", "has 'http://a': expected names without ports"),
        ("log_level = 'LOUD'", "server.toml: log_level is 'LOUD': input should be 'DEBUG'"),
        *(
            (f"{name} = 'a'", f"{name} cannot change while the server runs: set its variable, and restart")
            for name in FIXED
        ),
        (b"\xff", "cannot be read as TOML"),
        (None, "server.toml is gone"),
    ],
)
def test_a_wrong_file_changes_nothing_and_says_why(tmp_path, file, caplog, content, said):
    running = live(tmp_path, settings_path=str(file))
    if content is None:
        file.unlink()
    else:
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
    running.refresh()
    running.refresh()
    assert running.limits.max_queries == 7
    errors = [record.getMessage() for record in caplog.records]
    assert len(errors) == 1
    assert said in errors[0]
    assert "The server goes on with those it has" in errors[0]
    if content is not None:
        with pytest.raises(SettingsError) as refusal:  # at the start there is nothing to go on with
            live(tmp_path, settings_path=str(file))
        assert said in str(refusal.value)
    file.write_text("max_queries = 9\n")
    running.refresh()
    assert running.limits.max_queries == 9


def test_a_mount_whose_link_changes_is_noticed(tmp_path, file):
    folder = tmp_path / "mount"
    for name, number in (("one", 1), ("two", 2)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "server.toml").write_text(f"max_queries = {number}\n")
    shutil.copystat(tmp_path / "one/server.toml", tmp_path / "two/server.toml")  # of the same moment and size
    folder.symlink_to(tmp_path / "one")
    running = live(tmp_path, settings_path=str(folder / "server.toml"))
    (tmp_path / "next").symlink_to(tmp_path / "two")
    os.replace(tmp_path / "next", folder)
    running.refresh()
    assert running.limits.max_queries == 2


def test_the_token_s_file_is_read_again(tmp_path, caplog):
    file = tmp_path / "token"
    file.write_text("first")
    running = live(tmp_path, token_path=str(file))
    with caplog.at_level(logging.INFO, "opengenome.access"):
        file.write_text("second\n")
        running.refresh()
    assert running.limits.token == "second"
    assert [record.getMessage() for record in caplog.records] == ["new settings: token is another"]
    file.write_text("two words")
    running.refresh()
    assert running.limits.token == "second"


def test_damaged_tokens_close_nothing_and_open_nothing(tmp_path, caplog):
    tokens = tokens_of(str(tmp_path / "home"))
    tokens.create("a", "read", 1)
    running = live(tmp_path)
    content = tokens.path.read_text()
    for wrong in ("{", None):
        if wrong is None:
            tokens.path.unlink()
        else:
            tokens.path.write_text(wrong)
        running.refresh()
        assert len(running.tokens.tokens) == 1
        assert running.asks_for_tokens
    assert ["is damaged" in caplog.records[0].getMessage(), "is gone" in caplog.records[1].getMessage()] == [True] * 2
    tokens.path.write_text("{")
    with pytest.raises(SettingsError, match="is damaged"):
        live(tmp_path)
    tokens.path.write_text(content)
    tokens.revoke("a")
    assert live(tmp_path).asks_for_tokens  # revoked tokens do not open a server


@pytest.mark.long
def test_a_running_server_takes_changes_over(tmp_path, file):
    home = tmp_path / "home"
    with serving(home, settings_path=str(file)) as client:
        assert post(client, LARGE).status_code == 202
        file.write_text("max_jobs_waiting = 1\nrequests_per_minute = 0\n")
        wait_for(lambda: post(client, LARGE, factor=2).status_code == 429, "the new limit")
        _, text = tokens_of(str(home)).create("a", "read", 1)
        wait_for(lambda: client.get("/api/lines").status_code == 401, "the first token")
        client.headers["Authorization"] = f"Bearer {text}"
        assert client.get("/api/lines").status_code == 200
        tokens_of(str(home)).revoke("a")
        wait_for(lambda: client.get("/api/lines").status_code == 401, "the revocation")


def test_the_example_of_the_documentation_can_be_used(tmp_path, file):
    page = (REPOSITORY / "docs" / "access.md").read_text()
    file.write_text(page.partition("```toml\n")[2].partition("```")[0])
    assert live(tmp_path, settings_path=str(file)).limits.requests_per_minute == 600
