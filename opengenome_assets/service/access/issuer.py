"""Tokens of an OpenID Connect issuer: JSON Web Tokens (JWT), verified by the keys that the issuer publishes (JWKS).

Belongs here: reading the issuer's keys, verifying a token (RFC 7519, RFC 8725), and the scope that its roles give. Does
not belong here: logging people in, which the issuer and a proxy do, and the server's own tokens (``tokens.py``).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, NamedTuple

import anyio
import httpx
import jwt

from opengenome_assets.service.access.tokens import SCOPES, Principal, Scope, TokenError, in_words
from opengenome_assets.service.addresses import is_trustworthy
from opengenome_assets.service.settings import ServerSettings

LOG = logging.getLogger("opengenome.access")

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""Signatures that are accepted: with a private key only. ``none``, and secrets that both sides know, are refused."""

KEY_TYPES = ("RSA", "EC", "OKP")
LEEWAY_SECONDS = 60  # by which the issuer's clock and the server's may differ
FRESH_SECONDS = 300.0  # then the keys are read again, so that a withdrawn one ends
PAUSE_SECONDS = 10.0  # between two reads, whatever clients send
KEPT_SECONDS = 86_400.0  # for which known keys serve while the issuer cannot be reached
TIMEOUT_SECONDS = 5.0
LATEST = 253_402_300_799  # the last second that can be written with four digits of a year
LONGEST = 255  # letters of a subject, by OpenID Connect Core, section 2
PREFIX = "oidc:"
"""What precedes a subject in a client's name. No token's name has a colon, so nobody takes the name of another."""


class IssuerError(RuntimeError):
    """The issuer's keys cannot be read, so a token cannot be verified now. The message says why, and what to do."""


class NoRoleError(TokenError):
    """A token is valid, but none of its roles gives a scope."""


class _Key(NamedTuple):
    """A public key: its id and its algorithm, if they are stated, and the key itself."""

    identity: str | None
    algorithm: str | None
    public: Any


class Issuer:
    """An issuer, and the keys that it has published.

    Parameters
    ----------
    url
        The issuer's address, as its tokens name it. Its configuration is below it (OpenID Connect Discovery 1.0).
    clock
        Monotonic clock, in seconds.
    """

    def __init__(self, url: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.url, self._clock = url, clock
        self._keys: list[_Key] = []
        self._read_at = self._tried_at = -KEPT_SECONDS + clock()
        self._problem = ""
        self._lock = anyio.Lock()

    async def recognise(self, text: str, limits: ServerSettings) -> Principal:
        """Return whom a token names: ``oidc:`` and its subject, with the highest scope of its roles.

        Parameters
        ----------
        text
            The token, as it was sent.
        limits
            The server's settings, with audience and roles.

        Raises
        ------
        TokenError
            If it is not a valid token of this issuer for this server.
        NoRoleError
            If it is, and has no role of the settings.
        IssuerError
            If its key is not known, and the issuer cannot be reached.
        """
        try:
            header = jwt.get_unverified_header(text)
        except jwt.PyJWTError:
            raise TokenError("found another") from None
        algorithm = str(header.get("alg"))
        if algorithm not in ALGORITHMS:
            raise TokenError(f"expected one signed by {', '.join(ALGORITHMS)}, found {algorithm[:20]!a}")
        key = await self._key(header.get("kid"))
        if key.algorithm not in (None, algorithm):
            raise TokenError(f"expected one signed by {key.algorithm}, as its key says, found {algorithm}")
        claims = self._verified(text, key, algorithm, limits.audience)
        subject = claims["sub"]
        if not (0 < len(subject) <= LONGEST and subject.isprintable()):
            raise TokenError(f"expected a subject of 1 to {LONGEST} letters, found {subject[:40]!a}")
        name = f"{PREFIX}{subject}"
        scope = scope_of(claims, limits.roles_claim, limits.scopes_of_roles)
        if scope is None:
            raise NoRoleError(
                f"Expected one of the roles {', '.join(limits.scopes_of_roles)} in the token's claim "
                f"{limits.roles_claim}, found none. Ask the issuer's operator for one",
                name,
            )
        return Principal(name, scope)

    def _verified(self, text: str, key: _Key, algorithm: str, audience: str) -> dict[str, Any]:
        """Return the claims of a token whose signature, issuer, audience and times are right."""
        try:
            return jwt.decode(
                text,
                key.public,
                algorithms=[algorithm],
                issuer=self.url,
                audience=audience,
                leeway=LEEWAY_SECONDS,
                options={"require": ["exp", "iss", "aud", "sub"]},
            )
        except (jwt.ExpiredSignatureError, jwt.ImmatureSignatureError) as error:
            # The signature was right, so the claims are the issuer's.
            claims = jwt.decode(text, options={"verify_signature": False})
            now = f"the server's clock says {in_words(datetime.now(UTC))}"
            if isinstance(error, jwt.ExpiredSignatureError):
                words = f"it expired at {_moment(claims['exp'])}, and {now}. Get another"
            else:
                begin = _moment(max(claims.get("nbf", 0), claims.get("iat", 0)))
                words = f"it is valid from {begin}, and {now}. Set the clocks of issuer and server, or wait"
            raise TokenError(words, f"{PREFIX}{str(claims.get('sub', ''))[:LONGEST]}") from None
        except jwt.InvalidIssuerError:
            raise TokenError(f"expected one of the issuer {self.url}, found one of another") from None
        except jwt.InvalidAudienceError:
            raise TokenError(f"expected one for the audience {audience}, found one for another") from None
        except jwt.MissingRequiredClaimError as error:
            raise TokenError(f"expected the claim {error.claim}, found none") from None
        except jwt.PyJWTError:
            raise TokenError("expected a valid signature and valid claims, found others") from None

    async def _key(self, identity: Any) -> _Key:
        """Return the key with an id. Keys are read again if it is not known, or if they are old."""
        found = self._known(identity)
        if found is None or (self._clock() - self._read_at > FRESH_SECONDS and not self._lock.locked()):
            async with self._lock:
                if self._clock() - self._tried_at >= PAUSE_SECONDS:
                    await self._read()
            found = self._known(identity)
        if found is not None:
            return found
        if self._problem:
            raise IssuerError(
                f"The keys of the issuer {self.url} cannot be read: {self._problem}. Try again in "
                f"{PAUSE_SECONDS:.0f} s, or ask the server's operator for a token of the server"
            )
        raise TokenError("expected one signed with a key that the issuer publishes, found another key")

    def _known(self, identity: Any) -> _Key | None:
        if self._clock() - self._read_at > KEPT_SECONDS:
            return None
        # A token need not name its key if the issuer has one only (OpenID Connect Core, section 10.1).
        found = [key for key in self._keys if identity in (None, key.identity)]
        return found[0] if len(found) == 1 or (found and identity) else None

    async def _read(self) -> None:
        """Read the issuer's configuration and keys. If that is impossible, those that are known stay."""
        self._tried_at = self._clock()
        place = f"{self.url.rstrip('/')}/.well-known/openid-configuration"
        try:
            async with httpx.AsyncClient(timeout=TIMEOUT_SECONDS) as client:
                about = await _json(client, place)
                if about.get("issuer") != self.url:
                    raise ValueError(f"{place} is of the issuer {about.get('issuer')!a:.200}")
                place = str(about.get("jwks_uri"))
                if not is_trustworthy(place):
                    raise ValueError(f"its jwks_uri is {place[:200]!a}: expected an address of https")
                keys = _public((await _json(client, place)).get("keys"))
            if not keys:
                raise ValueError(f"{place} has no key for signatures")
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            problem = str(error) or type(error).__name__
            if problem != self._problem:
                LOG.error("the keys of the issuer %s cannot be read: %s. Known keys are used on", self.url, problem)
            self._problem = problem
        else:
            self._keys, self._read_at, self._problem = keys, self._clock(), ""


def scope_of(claims: Mapping[str, Any], claim: str, scopes: Mapping[str, Scope]) -> Scope | None:
    """Return the highest scope that the roles in a claim give; None if none does.

    Parameters
    ----------
    claims
        Claims of a token.
    claim
        Name of the claim: a list of roles, or a text with spaces between them. A dot leads into a claim, such as
        ``realm_access.roles``, unless a claim has the whole name.
    scopes
        Scope of each role.
    """
    value: Any = claims.get(claim)
    if value is None:
        value = claims
        for name in claim.split("."):
            value = value.get(name) if isinstance(value, dict) else None
    roles = value.split() if isinstance(value, str) else value if isinstance(value, list) else []
    given = [scopes[role] for role in roles if isinstance(role, str) and role in scopes]
    return max(given, key=SCOPES.index, default=None)


async def _json(client: httpx.AsyncClient, place: str) -> dict[str, Any]:
    answer = await client.get(place)
    if answer.status_code != HTTPStatus.OK:
        raise ValueError(f"{place} answered {answer.status_code}")
    content = answer.json()
    if not isinstance(content, dict):
        raise ValueError(f"{place} answered with other than an object of JSON")
    return content


def _public(keys: Any) -> list[_Key]:
    """Return the keys for signatures of a key set (RFC 7517); those of unknown kinds are left out."""
    found = []
    for each in keys if isinstance(keys, list) else []:
        if isinstance(each, dict) and each.get("kty") in KEY_TYPES and each.get("use", "sig") == "sig":
            try:
                found.append(_Key(each.get("kid"), each.get("alg"), jwt.PyJWK(each).key))
            except jwt.PyJWTError:
                continue
    return found


def _moment(seconds: float) -> str:
    return in_words(datetime.fromtimestamp(min(max(seconds, 0), LATEST), UTC))
