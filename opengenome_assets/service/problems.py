"""Problems: every refusal and failure as one JSON form, ``application/problem+json`` of RFC 9457.

Belongs here: the form, and turning exceptions into it. What is refused and why is said where it is refused.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import Response

MEDIA_TYPE = "application/problem+json"

UNREADABLE = "Expected a body of JSON in UTF-8, found bytes that cannot be read as that"

# Longest value of a request that is repeated to its sender.
_MOST_REPEATED = 60


class ProblemError(HTTPException):
    """An answer that is not what was asked for; ``detail`` says what was expected, what was found and what to do."""

    def __init__(self, status: int, detail: str, *, retry_after: int | None = None, **headers: str) -> None:
        if retry_after is not None:
            headers["Retry-After"] = str(retry_after)
        super().__init__(status, detail, headers)


class Fault(BaseModel):
    """One value of a request that is not as it should be."""

    where: str = Field(description="Its place, for instance body.top_n")
    expected: str
    found: str


class ProblemModel(BaseModel):
    """Why there is no result."""

    title: str = Field(description="The status in words")
    status: int = Field(description="The status")
    detail: str = Field(description="What was expected, what was found, and what to do")
    faults: list[Fault] = Field(default=[], description="The values that are at fault, if it is the request's form")
    id: str | None = Field(default=None, description="Where to find more of a failure in the server's log")


def problem_response(error: HTTPException, *, faults: Sequence[Fault] = (), identity: str | None = None) -> Response:
    """Return the answer for a problem."""
    status = HTTPStatus(error.status_code)
    problem = ProblemModel(
        title=status.phrase, status=status, detail=str(error.detail), faults=list(faults), id=identity
    )
    # In ASCII: what is repeated of a request may be text that has no encoding.
    content = json.dumps(problem.model_dump(exclude_defaults=True))
    return Response(content, status, error.headers, MEDIA_TYPE)


async def on_problem(request: Request, error: Exception) -> Response:
    """Answer with a problem, or with what the framework has to say, such as that there is no such page."""
    assert isinstance(error, HTTPException)
    if error.status_code == HTTPStatus.BAD_REQUEST:  # the framework's, of bytes that are no text, without saying so
        error = HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, UNREADABLE)
    return problem_response(error)


async def on_invalid_request(request: Request, error: Exception) -> Response:
    """Answer a request that has not the form of its description."""
    assert isinstance(error, RequestValidationError)
    faults = [_fault(each) for each in error.errors()]
    said = "; ".join(f"{fault.where}: {fault.expected}, found {fault.found}" for fault in faults)
    return problem_response(HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, said), faults=faults)


def _fault(error: dict[str, Any]) -> Fault:
    where, expected, found = ".".join(map(str, error["loc"])), str(error["msg"]), ascii(error.get("input"))
    if error.get("type") == "json_invalid":
        where, expected = "body", "Input should be JSON"
        found = f"{error['ctx']['error']}: character {error['loc'][-1]}"
    elif isinstance(error.get("input"), bytes):  # whoever sent it did not say that it is JSON
        expected = "Input should be JSON, sent with Content-Type: application/json"
    found = found if len(found) <= _MOST_REPEATED else f"{found[:_MOST_REPEATED]}…"
    return Fault(where=where, expected=expected, found=found)


def described(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return how OpenAPI describes the problems of a route."""
    schema = {"schema": {"$ref": "#/components/schemas/ProblemModel"}}
    return {
        status: {"description": HTTPStatus(status).phrase, "content": {MEDIA_TYPE: schema}, "model": ProblemModel}
        for status in statuses
    }
