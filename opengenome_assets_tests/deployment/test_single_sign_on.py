"""The proxy with single sign-on, as its image runs it: logins at a real issuer, before a real server of jobs."""

import json
import re
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urljoin

import httpx
import pytest

from opengenome_assets_tests.processes import REPOSITORY, free_port, wait_for
from opengenome_assets_tests.service.conftest import running
from opengenome_assets_tests.service.issuers import ROLES, SECRET, Issuer, issuing, private_key
from opengenome_assets_tests.service.test_audit import lines

CONF = REPOSITORY / "docker" / "proxy" / "single-sign-on.conf"
CLIENT = "genomes"  # at the issuer, and so the audience of its tokens for people

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Proxied:
    """A proxy before a server of jobs and two webservers."""

    url: str
    issuer: Issuer
    home: Path
    certificate: Path

    def browser(self) -> httpx.Client:
        """Return a browser without a session."""
        trust = ssl.create_default_context(cafile=str(self.certificate))
        return httpx.Client(base_url=self.url, verify=trust, headers={"Accept": "text/html"}, timeout=30)

    def log_in(self, browser: httpx.Client, name: str, path: str) -> httpx.Response:
        """Ask for a page, and log in at the issuer as its forms ask; return the page at last."""
        answer = browser.get(path, follow_redirects=True)
        for form in ({"prompt": "login", "login": name, "password": "any"}, {"prompt": "consent"}):
            assert answer.url.port == self.issuer.port, answer.url
            action = re.search(r'action="([^"]+)"', answer.text)
            assert action, answer.text
            answer = browser.post(urljoin(str(answer.url), action[1]), data=form, follow_redirects=True)
        return answer


class Webserver(BaseHTTPRequestHandler):
    """What stands for Dagster's webserver: it says what reached it."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({"path": self.path, "token": self.headers.get("Authorization")}).encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def proxied(tmp_path_factory: pytest.TempPathFactory, tool: Callable[[str], str]) -> Iterator[Proxied]:
    folder = tmp_path_factory.mktemp("single-sign-on")
    certificate = (
        "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost "
        "-addext subjectAltName=DNS:localhost -keyout tls_key -out tls_certificate"
    )
    subprocess.run(certificate.split(), cwd=folder, check=True, capture_output=True)
    (folder / "single_sign_on").write_text(f"OIDCClientSecret {SECRET}\nOIDCCryptoPassphrase a-passphrase\n")
    port, home = free_port(), folder / "home"
    webserver = ThreadingHTTPServer(("127.0.0.1", 0), Webserver)
    thread = threading.Thread(target=webserver.serve_forever, args=(0.05,))
    thread.start()
    url = f"https://localhost:{port}"
    try:
        with issuing(folder, tool, f"{url}/single-sign-on") as issuer:
            issuer.start(private_key("first"))
            settings = {
                "OPENGENOME_SEARCH_ISSUER": issuer.url,
                "OPENGENOME_SEARCH_AUDIENCE": CLIENT,
                "OPENGENOME_SEARCH_ROLES_CLAIM": "roles",
                "OPENGENOME_SEARCH_ROLES": ROLES,
            }
            proxies = {"OPENGENOME_SEARCH_HOSTS": "*", "OPENGENOME_SEARCH_PROXIES": "*"}
            with running(home, ready=False, **settings, **proxies) as server:
                places = {
                    "/tmp": str(folder),
                    "Listen 8443": f"Listen 127.0.0.1:{port}",
                    "search:3001": server.url.removeprefix("http://"),
                    "dagster-webserver:3000": f"127.0.0.1:{webserver.server_port}",
                    "dagster-webserver-guest:3000": f"127.0.0.1:{webserver.server_port}",
                    "/run/secrets/": f"{folder}/",
                }
                content = CONF.read_text()
                for word, place in places.items():
                    assert word in content
                    content = content.replace(word, place)
                (folder / "apache.conf").write_text(content)
                login = {"OPENGENOME_TEAM_ROLE": "genomes-sender", "OPENGENOME_LOGIN_SCOPE": "openid"}
                with (folder / "apache.log").open("wb") as log:
                    proxy = subprocess.Popen(
                        [tool("apache2"), "-f", str(folder / "apache.conf"), "-D", "FOREGROUND"],
                        env={**settings, **login, "PATH": "/usr/sbin:/usr/bin:/bin"},
                        stdout=log,
                        stderr=log,
                    )
                try:
                    proxied = Proxied(url, issuer, home, folder / "tls_certificate")

                    def answers() -> bool:
                        assert proxy.poll() is None, (folder / "apache.log").read_text()
                        try:
                            with proxied.browser() as browser:
                                return browser.get("/alive").status_code == 204
                        except httpx.TransportError:
                            return False

                    wait_for(answers, "answer of the proxy", 30, every=0.1)
                    yield proxied
                finally:
                    proxy.terminate()
                    proxy.wait(30)
    finally:
        webserver.shutdown()
        thread.join()
        webserver.server_close()


def test_a_person_logs_in_once_and_the_server_knows_who_it_is(proxied: Proxied) -> None:
    with proxied.browser() as browser:
        page = proxied.log_in(browser, "ada", "/search/jobs")
        assert (page.status_code, "OpenGenome" in page.text) == (200, True), page.text
        overview = browser.get("/search/api/jobs").json()
        assert (overview["client"], overview["scope"]) == ("oidc:ada", "submit")
        sent = browser.post(
            "/search/api/alignments/batch?name=a.faa", content=b">a\nMK1\n", headers={"Origin": proxied.url}
        )
        assert "illegal letter '1'" in sent.json()["detail"]
        # A large file comes through, and is the server's to refuse.
        assert browser.post("/search/api/uploads", content=b"x" * 5_000_000).json()["bytes"] == 5_000_000
        team = browser.get("/runs").json()
        assert team == {"path": "/runs", "token": None}  # the token is for the search only
        assert browser.get("/guest/runs").json()["path"] == "/guest/runs"
    assert ("oidc:ada", "POST /api/alignments/batch", "422") in [
        (line["who"], line["action"], line["outcome"]) for line in lines(proxied.home)
    ]


def test_nobody_gets_in_without_a_login(proxied: Proxied) -> None:
    with proxied.browser() as browser:
        for path in ("/", "/runs", "/guest/", "/search/", "/search/jobs", "/search/api/jobs"):
            answer = browser.get(path)
            assert (answer.status_code, answer.headers["location"].startswith(f"{proxied.issuer.url}/auth?")) == (
                302,
                True,
            )
            assert browser.get(path, headers={"Accept": "application/json"}).status_code == 401, path
        claimed = {"OIDC_id_token": "x", "OIDC_CLAIM_sub": "ada", "X-Remote-User": "ada"}
        assert browser.get("/search/api/jobs", headers=claimed).status_code == 302
        cookie = {"Cookie": "mod_auth_openidc_session=0123456789abcdef0123456789abcdef"}
        assert browser.get("/search/api/jobs", headers=cookie).status_code == 302
        assert browser.get("/runs", headers={"Authorization": "Bearer x"}).status_code == 302
        # The server looks at every token that a program sends.
        refused = browser.get("/search/api/jobs", headers={"Authorization": "Bearer a.b.c"})
        assert (refused.status_code, refused.json()["status"]) == (401, 401)


def test_roles_say_who_may_what(proxied: Proxied) -> None:
    with proxied.browser() as browser:
        assert proxied.log_in(browser, "reader", "/guest/").json()["path"] == "/guest/"
        assert browser.get("/runs").status_code in (401, 403)  # for the team
        assert browser.get("/search/api/jobs").json()["scope"] == "read"
        refused = browser.post("/search/api/uploads", content=b"x")
        assert (refused.status_code, refused.json()["status"]) == (403, 403)
    with proxied.browser() as browser:
        proxied.log_in(browser, "nobody", "/search/")
        said = browser.get("/search/api/jobs").json()["detail"]
        assert "Expected one of the roles genomes-reader" in said


def test_a_program_sends_its_own_token(proxied: Proxied) -> None:
    token = proxied.issuer.token("sender", f"urn:{CLIENT}")
    with proxied.browser() as program:
        refused = program.get("/search/api/jobs", headers={"Authorization": f"Bearer {token}"})
        assert "expected one for the audience genomes, found one for another" in refused.json()["detail"]
        assert program.get("/runs", headers={"Authorization": f"Bearer {token}"}).status_code == 302


def test_requests_that_other_sites_make_are_refused(proxied: Proxied) -> None:
    with proxied.browser() as browser:
        proxied.log_in(browser, "ada", "/search/")
        for path in ("/search/api/jobs", "/graphql", "/search/api/alignments/batch"):
            for origin in ("https://elsewhere.example", "null", f"http://{proxied.url.partition('//')[2]}"):
                assert browser.post(path, headers={"Origin": origin}).status_code == 403, (path, origin)
