"""Who sends a request, and whether it may: by a token of the server, or one of an OpenID Connect issuer.

Belongs here: choosing how a token is recognised, and what a request needs. Does not belong here: recognising one
(``tokens.py``, ``issuer.py``), and whose job may be cancelled, which the route says (``jobs/routes.py``).
"""

from __future__ import annotations

import hmac
from collections.abc import Collection
from datetime import UTC, datetime
from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.types import Scope as Request

from opengenome_assets.service.access.issuer import PAUSE_SECONDS, Issuer, IssuerError, NoRoleError
from opengenome_assets.service.access.tokens import Principal, Scope, TokenError
from opengenome_assets.service.live import Live
from opengenome_assets.service.problems import ProblemError


class RefusedClientError(ProblemError):
    """A client may not send a request.

    Attributes
    ----------
    reason
        ``token``, ``scope`` or ``issuer``, for the metrics.
    name
        Who it is, if that is known, for the audit log.
    """

    def __init__(self, reason: str, name: str, status: int, detail: str, retry_after: int | None, challenge: str):
        headers = {"WWW-Authenticate": challenge} if challenge else {}
        super().__init__(status, detail, retry_after=retry_after, **headers)
        self.reason, self.name = reason, name


class Clients:
    """The clients of a server.

    Parameters
    ----------
    live
        Settings and tokens of the server, as they are now.
    questions
        Paths whose POST changes nothing, so that the scope ``read`` is enough.
    """

    def __init__(self, live: Live, questions: Collection[str] = ()) -> None:
        self._live, self._questions = live, frozenset(questions)
        self._issuer: Issuer | None = None

    async def know(self, request: Request, headers: Headers) -> Principal:
        """Return who sends a request.

        Raises
        ------
        RefusedClientError
            If the client may not send it.
        """
        address = request["client"][0] if request.get("client") else ""
        if not self._live.asks_for_tokens:
            return Principal(address, "admin")
        scheme, _, given = headers.get("authorization", "").partition(" ")
        given = given.strip()
        try:
            if scheme.lower() != "bearer" or not given:
                raise TokenError("found none")
            principal = await self._recognised(given, address)
        except NoRoleError as error:
            raise _lacking(error.name, str(error)) from None
        except TokenError as error:
            words = f"Expected the header Authorization: Bearer with a token of this server; {error}"
            invalid = ' error="invalid_token"' if given else ""
            raise RefusedClientError(
                "token", error.name, HTTPStatus.UNAUTHORIZED, words, None, f"Bearer{invalid}"
            ) from None
        except IssuerError as error:
            raise RefusedClientError(
                "issuer", "", HTTPStatus.SERVICE_UNAVAILABLE, str(error), int(PAUSE_SECONDS), ""
            ) from None
        if not principal.may(needed := self._needed(request)):
            words = (
                f"Expected a token with the scope {needed}, found one with {principal.scope}. Ask the server's "
                "operator for another"
            )
            raise _lacking(principal.name, words, needed)
        return principal

    async def _recognised(self, given: str, address: str) -> Principal:
        limits = self._live.limits
        if limits.token and hmac.compare_digest(given.encode("latin-1"), limits.token.encode()):
            return Principal(address, "admin")
        if limits.issuer and given.count(".") == 2:
            if self._issuer is None or self._issuer.url != limits.issuer:
                self._issuer = Issuer(limits.issuer)
            return await self._issuer.recognise(given, limits)
        return self._live.tokens.recognise(given, datetime.now(UTC))

    def _needed(self, request: Request) -> Scope:
        reads = request["method"] in ("GET", "HEAD", "OPTIONS") or request["path"] in self._questions
        return "read" if reads else "submit"


def _lacking(name: str, words: str, needed: Scope | None = None) -> RefusedClientError:
    challenge = 'Bearer error="insufficient_scope"' + (f', scope="{needed}"' if needed else "")
    return RefusedClientError("scope", name, HTTPStatus.FORBIDDEN, words, None, challenge)
