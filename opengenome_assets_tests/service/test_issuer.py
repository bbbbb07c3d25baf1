"""Tokens of an OpenID Connect issuer: a real one, and one whose tokens and keys are wrong in every way."""

import base64
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import anyio
import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opengenome_assets.service.access import issuer as issuers
from opengenome_assets.service.access.issuer import Issuer, IssuerError, NoRoleError, scope_of
from opengenome_assets.service.access.tokens import Principal, TokenError, tokens_of
from opengenome_assets.service.settings import ServerSettings
from opengenome_assets.settings import SettingsError
from opengenome_assets_tests.processes import wait_for
from opengenome_assets_tests.service import issuers as real
from opengenome_assets_tests.service.issuers import AUDIENCE, ROLES, issuing, private_key
from opengenome_assets_tests.service.test_audit import lines
from opengenome_assets_tests.service.test_job_api import LARGE, detail, post, serving

FIRST, SECOND = private_key("first"), private_key("second")


def bearer(text: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {text}"}


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory, tool: Callable[[str], str]) -> Iterator[real.Issuer]:
    with issuing(tmp_path_factory.mktemp("issuer"), tool) as issuer:
        issuer.start(FIRST)
        yield issuer


def test_programs_get_in_with_the_scope_of_their_roles_and_the_audit_log_names_them(tmp_path, issuer):
    home = tmp_path / "home"
    _, own = tokens_of(str(home)).create("laboratory", "submit", 1)
    with serving(home, issuer=issuer.url, audience=AUDIENCE, roles=ROLES) as client:
        assert "found none" in detail(client.get("/api/lines"), 401)
        client.headers = bearer(issuer.token("sender"))
        job = post(client, LARGE).json()
        assert (job["state"], job["client"]) == ("waiting", "oidc:sender")
        client.headers = bearer(issuer.token("reader"))
        assert client.get(f"/api/lines/{job['id']}/status").status_code == 200
        assert "Expected a token with the scope submit, found one with read" in detail(post(client), 403)
        client.headers = bearer(issuer.token("nobody"))
        said = detail(client.get("/api/lines"), 403)
        assert "Expected one of the roles genomes-reader, genomes-sender, genomes-operator in the token's claim" in said
        client.headers = bearer(issuer.token("sender", "urn:payroll"))
        assert f"expected one for the audience {AUDIENCE}, found one for another" in detail(post(client), 401)
        client.headers = bearer(own)  # the server's own tokens work beside them
        assert client.get("/api/lines").status_code == 200
        assert "was sent by another client" in detail(client.delete(f"/api/lines/{job['id']}"), 403)
        client.headers = bearer(issuer.token("sender"))
        assert client.delete(f"/api/lines/{job['id']}").json()["state"] == "cancelled"
        assert 'opengenome_refusals_total{reason="scope"} 2.0' in client.get("/metrics").text
    seen = [(line["who"], line["action"].split("/")[0], line["outcome"]) for line in lines(home)]
    assert seen == [
        ("unknown", "GET ", "401"),
        ("oidc:sender", "POST ", "202"),
        ("oidc:reader", "POST ", "403"),
        ("oidc:nobody", "GET ", "403"),
        ("unknown", "POST ", "401"),
        ("laboratory", "DELETE ", "403"),
        ("oidc:sender", "DELETE ", "200"),
    ]


def test_new_keys_are_read_and_withdrawn_ones_end(tmp_path, issuer, monkeypatch):
    monkeypatch.setattr(issuers, "PAUSE_SECONDS", 0.0)
    with serving(tmp_path / "home", issuer=issuer.url, audience=AUDIENCE, roles=ROLES) as client:
        old = bearer(issuer.token("reader"))
        assert client.get("/api/lines", headers=old).status_code == 200
        try:
            issuer.stop()
            assert client.get("/api/lines", headers=old).status_code == 200  # a known key goes on
            issuer.start(SECOND, FIRST)
            new = bearer(issuer.token("reader"))
            assert jwt.get_unverified_header(new["Authorization"].split()[1])["kid"] == "second"
            assert [client.get("/api/lines", headers=each).status_code for each in (new, old)] == [200, 200]
            issuer.stop()
            issuer.start(SECOND)
            monkeypatch.setattr(issuers, "FRESH_SECONDS", 0.0)
            assert "signed with a key that the issuer publishes" in detail(client.get("/api/lines", headers=old), 401)
            assert client.get("/api/lines", headers=new).status_code == 200
        finally:
            issuer.stop()
            issuer.start(FIRST)


def test_an_issuer_that_is_away_is_said_and_its_return_noticed(tmp_path, issuer, monkeypatch):
    monkeypatch.setattr(issuers, "PAUSE_SECONDS", 0.0)
    text = issuer.token("reader")
    issuer.stop()
    try:
        with serving(tmp_path / "home", issuer=issuer.url, audience=AUDIENCE, roles=ROLES) as client:
            refused = client.get("/api/lines", headers=bearer(text))
            said = detail(refused, 503)
            assert f"The keys of the issuer {issuer.url} cannot be read" in said
            assert "ask the server's operator for a token of the server" in said
            assert "retry-after" in refused.headers
            assert client.get("/health/live").status_code == 200
            issuer.start(FIRST)
            assert client.get("/api/lines", headers=bearer(text)).status_code == 200
    finally:
        issuer.stop()
        issuer.start(FIRST)


def test_issuer_and_roles_change_while_the_server_runs(tmp_path, issuer):
    file = tmp_path / "server.toml"
    file.write_text("requests_per_minute = 0\n")
    with serving(tmp_path / "home", settings_path=str(file)) as client:
        assert client.get("/api/lines").status_code == 200
        file.write_text(f'issuer = "{issuer.url}"\naudience = "{AUDIENCE}"\nroles = "genomes-reader=read"\n')
        wait_for(lambda: client.get("/api/lines").status_code == 401, "the issuer")
        client.headers = bearer(issuer.token("sender"))
        assert post(client).status_code == 403
        file.write_text(f'issuer = "{issuer.url}"\naudience = "{AUDIENCE}"\nroles = "genomes-sender=submit"\n')
        wait_for(lambda: post(client).status_code == 200, "the new scope")
        file.write_text("requests_per_minute = 0\n")
        wait_for(lambda: post(client).status_code == 401, "the end of the issuer")
        del client.headers["Authorization"]
        assert "found none" in detail(client.get("/api/lines"), 401)  # a change does not open the server


class Published:
    """An issuer that publishes files, as a static web server does."""

    def __init__(self) -> None:
        self.reads = 0
        self.files: dict[str, tuple[int, bytes]] = {}

        class Handler(BaseHTTPRequestHandler):
            def do_GET(handler) -> None:  # noqa: N805
                self.reads += 1
                status, content = self.files.get(handler.path, (404, b""))
                handler.send_response(status)
                handler.end_headers()
                handler.wfile.write(content)

            def log_message(handler, *_: Any) -> None:  # noqa: N805
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.limits = ServerSettings(issuer=self.url, audience=AUDIENCE, roles=ROLES)
        self.publish(FIRST)

    def publish(self, *keys: dict[str, Any], status: int = 200, **about: Any) -> None:
        """Publish the public halves of keys."""
        public = [{name: value for name, value in key.items() if name != "d"} for key in keys]
        described = {"issuer": self.url, "jwks_uri": f"{self.url}/keys", **about}
        self.files["/.well-known/openid-configuration"] = (status, json.dumps(described).encode())
        self.files["/keys"] = (200, json.dumps({"keys": public}).encode())

    def token(self, key: dict[str, Any] = FIRST, algorithm: str = "ES256", **changes: Any) -> str:
        """Sign a token; a change to None leaves a claim out."""
        now = time.time()
        claims = {"iss": self.url, "aud": AUDIENCE, "sub": "ada", "exp": now + 60, "roles": ["genomes-sender"]}
        claims = {name: value for name, value in {**claims, **changes}.items() if value is not None}
        secret = jwt.PyJWK(key).key if "kty" in key else None
        return jwt.encode(claims, secret, algorithm, {"kid": key["kid"]} if "kid" in key else {})

    def recognise(self, text: str, by: Issuer | None = None) -> Principal:
        return anyio.run((by or Issuer(self.url)).recognise, text, self.limits)


@contextmanager
def publishing() -> Iterator[Published]:
    published = Published()
    thread = threading.Thread(target=published.server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield published
    finally:
        published.server.shutdown()
        thread.join()
        published.server.server_close()


@pytest.fixture(scope="module")
def static() -> Iterator[Published]:
    with publishing() as published:
        yield published


@pytest.fixture
def published(static: Published) -> Published:
    static.reads = 0
    static.publish(FIRST)
    return static


def test_a_valid_token_names_its_subject(published):
    assert published.recognise(published.token()) == Principal("oidc:ada", "submit")
    without = {name: value for name, value in FIRST.items() if name != "kid"}
    assert published.recognise(published.token(without)).name == "oidc:ada"  # the only key need not be named
    published.publish(FIRST, SECOND)
    with pytest.raises(TokenError, match="found another key"):
        published.recognise(published.token(without))


def unsigned(claims: dict[str, Any]) -> str:
    parts = [json.dumps(each).encode() for each in ({"alg": "none", "typ": "JWT"}, claims)]
    return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts) + "."


def test_tokens_that_others_made_are_refused(published):
    good = published.token()
    head, body, signature = good.split(".")
    claims = jwt.decode(good, options={"verify_signature": False})
    public = published.files["/keys"][1]
    symmetric = jwt.encode(claims, base64.b64encode(public).decode(), "HS256", {"kid": "first"})
    stolen = {**SECOND, "kid": "first"}  # another key that takes the name of the issuer's
    other_body = base64.urlsafe_b64encode(json.dumps({**claims, "sub": "eve"}).encode()).decode().rstrip("=")
    for text, said in (
        (unsigned(claims), "expected one signed by RS256, .* found 'none'"),
        (symmetric, "expected one signed by RS256, .* found 'HS256'"),
        (published.token(stolen), "expected a valid signature"),
        (published.token(SECOND), "signed with a key that the issuer publishes, found another key"),
        (f"{head}.{other_body}.{signature}", "expected a valid signature"),
        (f"{head}.{body}.", "expected a valid signature"),
        (f"{head}.{body}.{signature[:-4]}AAAA", "expected a valid signature"),
        ("a.b.c", "found another"),
        ("..", "found another"),
    ):
        with pytest.raises(TokenError, match=said):
            published.recognise(text)
    published.publish({**FIRST, "alg": "ES512"})
    with pytest.raises(TokenError, match="expected one signed by ES512, as its key says, found ES256"):
        published.recognise(good)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"iss": "https://accounts.example"}, "expected one of the issuer http"),
        ({"aud": "urn:payroll"}, f"expected one for the audience {AUDIENCE}, found one for another"),
        ({"aud": ["urn:payroll"]}, "found one for another"),
        *(({name: None}, f"expected the claim {name}, found none") for name in ("exp", "iss", "aud", "sub")),
        ({"sub": 7}, "expected a valid signature and valid claims"),
        ({"sub": ""}, "expected a subject of 1 to 255 letters"),
        ({"sub": "a\nb"}, "expected a subject of 1 to 255 letters"),
        ({"sub": "a" * 256}, "expected a subject of 1 to 255 letters"),
        ({"exp": "never"}, "expected a valid signature and valid claims"),
        ({"nbf": 1e18}, r"it is valid from 9999-12-31 23:59:59 UTC, and the server's clock says 2\d{3}-"),
    ],
)
def test_claims_of_another_kind_are_refused(published, changes, said):
    with pytest.raises(TokenError, match=said):
        published.recognise(published.token(**changes))


def test_clocks_may_differ_by_a_minute(published):
    now = time.time()
    for changes in ({"exp": now - 50}, {"nbf": now + 50}, {"iat": now + 50}):
        assert published.recognise(published.token(**changes)).name == "oidc:ada"
    with pytest.raises(TokenError, match=r"it expired at 2.* UTC, and the server's clock says 2.* Get another") as late:
        published.recognise(published.token(exp=now - 70))
    assert late.value.name == "oidc:ada"  # its signature is right, so the audit log may name it
    for early in ({"nbf": now + 70}, {"iat": now + 70}):
        with pytest.raises(TokenError, match=r"it is valid from 2.* Set the clocks of issuer and server, or wait"):
            published.recognise(published.token(**early))


@given(st.one_of(st.text(), st.from_regex(r"[A-Za-z0-9_=-]{0,40}\.[A-Za-z0-9_=-]{0,40}\.[A-Za-z0-9_=-]{0,40}")))
def test_no_other_text_is_a_token(text):
    with pytest.raises(TokenError):
        anyio.run(Issuer("https://accounts.example").recognise, text, ServerSettings())


@pytest.mark.parametrize(
    ("about", "said"),
    [
        ({"issuer": "https://other.example"}, "is of the issuer 'https://other.example'"),
        ({"jwks_uri": "http://keys.example/keys"}, "expected an address of https"),
        ({"jwks_uri": "file:///etc/passwd"}, "expected an address of https"),
        ({"jwks_uri": None}, "expected an address of https"),
        ({"status": 500}, "answered 500"),
        ({"keys": []}, "has no key for signatures"),
        ({"keys": [{"kty": "oct", "k": "AAAA", "kid": "first"}]}, "has no key for signatures"),
        ({"keys": [{**FIRST, "use": "enc"}]}, "has no key for signatures"),
        ({"keys": [{"kty": "EC", "kid": "first"}]}, "has no key for signatures"),
        ({"content": b"<html>"}, "Expecting value"),
        ({"content": b"[]"}, "answered with other than an object of JSON"),
        ({"content": b"\xff"}, "can't decode"),
    ],
)
def test_an_issuer_that_cannot_be_used_is_named_with_what_is_wrong(published, about, said, caplog):
    content = about.pop("content", None)
    published.publish(*about.pop("keys", [FIRST]), **about)
    if content is not None:
        published.files["/keys"] = (200, content)
    known = Issuer(published.url)
    for _ in range(2):
        with pytest.raises(IssuerError, match=said):
            published.recognise(published.token(), known)
    assert [record.getMessage() for record in caplog.records if "cannot be read" in record.getMessage()] != []


def test_keys_are_read_seldom_whatever_clients_send(published):
    moment = 0.0
    known = Issuer(published.url, lambda: moment)
    for _ in range(5):
        published.recognise(published.token(), known)
        with pytest.raises(TokenError, match="found another key"):
            published.recognise(published.token(SECOND), known)
    assert published.reads == 2  # the configuration and the keys
    published.publish(SECOND)
    moment = issuers.PAUSE_SECONDS
    assert published.recognise(published.token(SECOND), known).name == "oidc:ada"
    assert published.reads == 4


def test_known_keys_end_a_day_after_the_issuer_was_seen(published):
    moment = 0.0
    known = Issuer(published.url, lambda: moment)
    published.recognise(published.token(), known)
    published.publish(FIRST, status=503)
    for moment in (issuers.FRESH_SECONDS + 1, issuers.KEPT_SECONDS):  # noqa: B007  # the clock reads it
        assert published.recognise(published.token(), known).name == "oidc:ada"
    moment = issuers.KEPT_SECONDS + 1
    with pytest.raises(IssuerError, match="answered 503"):
        published.recognise(published.token(), known)


def test_many_requests_at_once_read_the_keys_once(published):
    known = Issuer(published.url)
    text = published.token()

    async def ask() -> None:
        async with anyio.create_task_group() as tasks:
            for _ in range(50):
                tasks.start_soon(known.recognise, text, published.limits)

    anyio.run(ask)
    assert published.reads == 2


@pytest.mark.parametrize(
    ("claims", "claim", "expected"),
    [
        ({"roles": ["r", "s"]}, "roles", "submit"),
        ({"roles": ["a", "r"]}, "roles", "admin"),
        ({"roles": []}, "roles", None),
        ({"roles": {"s": True}}, "roles", None),
        ({"roles": [["s"], 1, None]}, "roles", None),
        ({}, "roles", None),
        ({"scope": "openid s"}, "scope", "submit"),
        ({"scope": "openids"}, "scope", None),
        ({"realm_access": {"roles": ["s"]}}, "realm_access.roles", "submit"),
        ({"realm_access": ["s"]}, "realm_access.roles", None),
        ({"https://genomes.example/roles": ["s"]}, "https://genomes.example/roles", "submit"),
    ],
)
def test_the_highest_role_counts(claims, claim, expected):
    assert scope_of(claims, claim, {"r": "read", "s": "submit", "a": "admin"}) == expected


def test_a_token_without_a_role_is_valid_and_may_nothing(published):
    with pytest.raises(NoRoleError, match=r"found none. Ask the issuer's operator for one") as refusal:
        published.recognise(published.token(roles=["accounting"]))
    assert refusal.value.name == "oidc:ada"


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"issuer": "accounts.example", "audience": "a"}, "expected an address that begins with https://"),
        ({"issuer": "http://accounts.example", "audience": "a"}, "http:// is for issuers on this machine"),
        ({"issuer": "https://a.example/?x=1", "audience": "a"}, "without a query"),
        ({"issuer": "https://[", "audience": "a"}, "expected an address"),
        ({"issuer": "https://accounts.example"}, "OPENGENOME_SEARCH_AUDIENCE is not set: expected this server's"),
        ({"roles": "reader"}, "has 'reader': expected ROLE=SCOPE"),
        ({"roles": "reader=write"}, "with a scope of read, submit, admin"),
        ({"roles": "=read"}, "expected ROLE=SCOPE"),
    ],
)
def test_settings_of_an_issuer_that_cannot_be_used_are_refused(values, said):
    with pytest.raises(SettingsError, match=said.replace("/?", "/")):
        ServerSettings.of(values)


def test_issuers_of_https_and_of_this_machine_are_accepted():
    for issuer in ("https://accounts.example/realms/genomes", "http://127.0.0.1:8080", "http://localhost"):
        settings = ServerSettings.of({"issuer": issuer, "audience": "genomes", "roles": "a b=read, x=y=admin"})
        assert settings.scopes_of_roles == {"a b": "read", "x=y": "admin"}
