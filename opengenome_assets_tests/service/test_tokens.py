"""Tokens of clients: made, revoked and recognised, and what each scope may do at every route."""

import hashlib
import json
import stat
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st

from opengenome_assets.cli import main
from opengenome_assets.service.access.tokens import (
    SCOPES,
    Principal,
    Scope,
    TokenError,
    TokenList,
    Tokens,
    tokens_of,
)
from opengenome_assets.storage.files import DamagedError
from opengenome_assets_tests.service.test_job_api import LARGE, detail, post, serving

NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def tokens(tmp_path: Path) -> Tokens:
    return Tokens(tmp_path / "access" / "tokens.json", lambda: NOW)


def test_a_token_is_recognised_and_its_secret_is_kept_nowhere(tokens):
    token, text = tokens.create("laboratory", "submit", 30)
    assert tokens.read().recognise(text, NOW) == Principal("laboratory", "submit")
    content = tokens.path.read_text()
    assert text not in content
    assert text.split("_", 2)[2] not in content  # the secret, which may hold that mark too
    assert hashlib.sha256(text.encode()).hexdigest() in content
    assert stat.S_IMODE(tokens.path.stat().st_mode) == 0o600
    assert [path.name for path in tokens.path.parent.iterdir()] == ["tokens.json"]
    assert token.expires == NOW + timedelta(days=30)


HEX, LETTERS = "0123456789abcdef", "AZaz09_-"


@given(st.one_of(st.text(), st.builds("og_{}_{}".format, st.text(HEX, max_size=9), st.text(LETTERS, max_size=44))))
def test_no_other_text_is_a_token(text):
    token = TokenList.model_validate(
        {
            "tokens": [
                {
                    "id": "00000000",
                    "name": "a",
                    "scope": "admin",
                    "sha256": "0" * 64,
                    "created": NOW,
                    "expires": NOW + timedelta(days=1),
                }
            ]
        }
    )
    with pytest.raises(TokenError) as refusal:
        token.recognise(text, NOW)
    assert str(refusal.value) == "found another"


def test_each_letter_of_a_token_counts(tokens):
    _, text = tokens.create("a", "read", 1)
    for place in range(len(text)):
        other = text[:place] + ("x" if text[place] != "x" else "y") + text[place + 1 :]
        with pytest.raises(TokenError, match="found another"):
            tokens.read().recognise(other, NOW)


@pytest.mark.parametrize("ahead", [timedelta(0), timedelta(days=-3), timedelta(days=3)])
def test_a_clock_that_differs_changes_only_the_end(tmp_path, ahead):
    tokens = Tokens(tmp_path / "tokens.json", lambda: NOW + ahead)  # the machine that makes the token
    token, text = tokens.create("a", "read", 4)
    found = tokens.read()
    assert found.recognise(text, NOW).name == "a"  # also if it is made in the server's future
    assert found.recognise(text, token.expires - timedelta(seconds=1)).name == "a"
    with pytest.raises(TokenError) as refusal:
        found.recognise(text, token.expires)
    moment = f"{token.expires:%Y-%m-%d %H:%M:%S} UTC"
    assert f"expired at {moment}, and the server's clock says {moment}" in str(refusal.value)


def test_a_revoked_token_is_refused_and_others_of_the_name_are_not(tokens):
    (first, one), (_, two) = tokens.create("a", "read", 1), tokens.create("a", "read", 1)
    tokens.revoke(first.id)
    with pytest.raises(TokenError, match=f"the token {first.id} is revoked"):
        tokens.read().recognise(one, NOW)
    assert tokens.read().recognise(two, NOW).name == "a"
    assert len(tokens.revoke("a")) == 2
    with pytest.raises(TokenError, match="is revoked"):
        tokens.read().recognise(two, NOW)
    with pytest.raises(TokenError, match=r"there is no token 'b'. `opengenome tokens list` lists them"):
        tokens.revoke("b")


@pytest.mark.parametrize(
    ("name", "days", "said"),
    [("", 1, "expected a name"), ("a b", 1, "found 'a b'"), ("a" * 65, 1, "up to 64"), ("a", 0, "expected 1 to 3,650")],
)
def test_names_and_days_that_cannot_be_used_are_refused(tokens, name, days, said):
    with pytest.raises(TokenError, match=said):
        tokens.create(name, "read", days)
    assert not tokens.path.exists()


def test_tokens_that_are_made_at_once_are_all_kept(tmp_path):
    path = tmp_path / "access" / "tokens.json"
    threads = [threading.Thread(target=lambda: Tokens(path).create("a", "read", 1)) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({each.id for each in Tokens(path).read().tokens}) == 20


@pytest.mark.parametrize("content", ["", "[]", '{"tokens": [{"id": 1}]}', '{"token": []}'])
def test_a_damaged_file_is_named(tokens, content):
    tokens.path.parent.mkdir()
    tokens.path.write_text(content)
    with pytest.raises(DamagedError, match=r"tokens.json is damaged: .*Restore it from a backup"):
        tokens.read()
    with pytest.raises(DamagedError):
        tokens.create("a", "read", 1)
    assert tokens.path.read_text() == content


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tokens") / "home"


@pytest.fixture(scope="module")
def texts(home: Path) -> dict[str, str]:
    """A token of each scope, one that has expired, and one that is revoked."""
    tokens = tokens_of(str(home))
    found = {scope: tokens.create(f"{scope}er", scope, 1)[1] for scope in SCOPES}
    found["expired"] = Tokens(tokens.path, lambda: datetime.now(UTC) - timedelta(days=2)).create("old", "admin", 1)[1]
    token, found["revoked"] = tokens.create("gone", "admin", 1)
    tokens.revoke(token.id)
    return found


@pytest.fixture(scope="module")
def client(home: Path, texts: dict[str, str]) -> Iterator[TestClient]:
    with serving(home, token="the-one-token") as client:
        yield client


def bearer(text: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {text}"}


def needed(method: str, path: str) -> Scope | None:
    """What the description of access says of a route."""
    if not path.startswith(("/api/", "/metrics", "/report")):
        return None
    return "read" if method == "GET" or path in ("/api/similar", "/api/explain") else "submit"


@pytest.mark.long
def test_every_route_is_guarded(client, texts):
    described = client.get("/openapi.json").json()["paths"]
    routes = [(method.upper(), path) for path, methods in described.items() for method in methods]
    routes += [("GET", "/report"), ("GET", "/"), ("GET", "/page/page.js")]
    assert len(routes) > 15
    for method, path in routes:
        url = path.replace("{identity}", "0" * 64).replace("{sha256}", "0" * 64)
        scope = needed(method, path)
        for each in ("none", "expired", "revoked", *SCOPES, "one"):
            headers = {} if each == "none" else bearer({**texts, "one": "the-one-token"}[each])
            status = client.request(method, url, headers=headers).status_code
            if scope is None:
                assert status not in (401, 403), (method, path, each)
            elif each in ("none", "expired", "revoked"):
                assert status == 401, (method, path, each)
            else:
                may = each == "one" or SCOPES.index(each) >= SCOPES.index(scope)
                assert (status != 403) == may, (method, path, each, status)
                assert status != 401


def test_refusals_say_why(client, texts):
    answer = client.get("/api/lines", headers=bearer(texts["expired"]))
    assert "expired at 2" in detail(answer, 401)
    assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'
    assert "is revoked. Ask the server's operator" in detail(
        client.get("/api/lines", headers=bearer(texts["revoked"])), 401
    )
    assert "found none" in detail(client.get("/api/lines"), 401)
    assert "found another" in detail(client.get("/api/lines", headers=bearer("og_")), 401)
    answer = client.post("/api/lines", params={"name": "a"}, content=b"a\n", headers=bearer(texts["read"]))
    assert "Expected a token with the scope submit, found one with read" in detail(answer, 403)
    assert answer.headers["www-authenticate"] == 'Bearer error="insufficient_scope", scope="submit"'


def test_a_client_cancels_its_own_jobs_and_an_admin_those_of_all(client, texts):
    client.headers.update(bearer(texts["admin"]))
    own, other = post(client, LARGE, factor=7).json()["id"], post(client, LARGE, factor=8).json()["id"]
    client.headers.update(bearer(texts["submit"]))
    mine = post(client, LARGE, factor=9).json()
    assert mine["client"] == "submiter"
    assert "was sent by another client" in detail(client.delete(f"/api/lines/{own}"), 403)
    assert client.delete(f"/api/lines/{mine['id']}").json()["state"] == "cancelled"
    client.headers.update(bearer(texts["admin"]))
    assert client.delete(f"/api/lines/{own}").json()["state"] == "cancelled"
    client.headers.update(bearer("the-one-token"))
    assert client.delete(f"/api/lines/{other}").json()["state"] == "cancelled"
    del client.headers["Authorization"]


def test_clients_behind_one_address_have_each_their_pace(home, texts):
    with serving(home, requests_per_minute=2) as client:
        for scope in ("read", "submit"):
            answers = [client.get("/api/lines", headers=bearer(texts[scope])).status_code for _ in range(3)]
            assert answers == [200, 200, 429]


def test_the_command_line_makes_lists_and_revokes_tokens(tmp_path, monkeypatch):
    monkeypatch.setenv("OPENGENOME_HOME", str(tmp_path / "home"))
    run = CliRunner().invoke
    assert "no tokens" in run(main, ["tokens", "list"]).stdout
    created = run(main, ["tokens", "create", "laboratory", "--scope", "read", "--days", "7"])
    text = created.stdout.strip()
    found = tokens_of(str(tmp_path / "home")).read()
    assert found.recognise(text, datetime.now(UTC)) == Principal("laboratory", "read")
    assert "is not shown again" in created.stderr
    listed = run(main, ["tokens", "list"]).stdout
    assert all(word in listed for word in ("laboratory", "read", "valid", found.tokens[0].id))
    assert text not in listed
    assert "Revoked: 1 token" in run(main, ["tokens", "revoke", "laboratory"]).stdout
    assert json.loads(run(main, ["tokens", "list", "--format", "json"]).stdout)[0]["state"] == "revoked"
    for arguments in (["revoke", "nobody"], ["create", "a b"], ["create", "a", "--days", "0"]):
        refused = run(main, ["tokens", *arguments])
        assert (refused.exit_code, "Error: " in refused.stderr) == (1, True)
    actions = [json.loads(line)["action"] for line in (tmp_path / "home/access/audit.jsonl").read_text().splitlines()]
    assert actions == ["tokens create laboratory read", "tokens revoke laboratory"]
