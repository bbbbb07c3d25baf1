"""A real OpenID Connect issuer, npm's ``oidc-provider``, in a process of its own."""

import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import jwt
from cryptography.hazmat.primitives.asymmetric import ec

from opengenome_assets_tests.processes import free_port, wait_for

SCRIPT = Path(__file__).with_name("oidc_issuer.mjs")
AUDIENCE = "urn:genomes"
SECRET = "a-secret-of-the-tests"
ROLES = "genomes-reader=read, genomes-sender=submit, genomes-operator=admin"


def private_key(identity: str) -> dict[str, Any]:
    """Return a new private key as a JSON Web Key."""
    key = jwt.algorithms.ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP256R1()), as_dict=True)
    return {**key, "kid": identity, "use": "sig", "alg": "ES256"}


@dataclass
class Issuer:
    """An issuer that can be stopped, and started again with other keys."""

    package: Path
    folder: Path
    port: int
    redirect: str
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self, *keys: dict[str, Any]) -> None:
        """Start it with some keys; it signs with the first."""
        path = self.folder / "keys.json"
        path.write_text(json.dumps({"keys": keys}))
        command = ["node", str(SCRIPT), str(self.package), str(self.port), str(path), self.redirect]
        with (self.folder / "issuer.log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        wait_for(self._answers, "answer of the issuer", 60, every=0.05)

    def stop(self) -> None:
        """Stop it."""
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None

    def token(self, client: str, audience: str = AUDIENCE) -> str:
        """Get an access token by client credentials, as a program does."""
        data = {"grant_type": "client_credentials", "resource": audience}
        answer = httpx.post(f"{self.url}/token", data=data, auth=(client, SECRET))
        assert answer.status_code == 200, answer.text
        return str(answer.json()["access_token"])

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/.well-known/openid-configuration").status_code == 200
        except httpx.TransportError:
            return False


@contextmanager
def issuing(folder: Path, tool: Callable[[str], str], redirect: str = "http://127.0.0.1/redirect") -> Iterator[Issuer]:
    """Prepare an issuer; what is started is stopped at the end."""
    issuer = Issuer(Path(tool("oidc-provider")), folder, free_port(), redirect)
    try:
        yield issuer
    finally:
        issuer.stop()
