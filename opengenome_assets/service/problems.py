"""Problems: every refusal and failure as one JSON form, ``application/problem+json`` of RFC 9457.

Belongs here: the form, and turning exceptions into it. Does not belong here: reasons to refuse a request, which are in
``guards.py`` and ``search.py``.
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

# Maximum characters of a faulty value in an answer.
_MAX_SHOWN = 60


class ProblemError(HTTPException):
    """A refusal or failure; ``detail`` says what was expected, what was found and what to do."""

    def __init__(self, status: int, detail: str, *, retry_after: int | None = None, **headers: str) -> None:
        if retry_after is not None:
            headers["Retry-After"] = str(retry_after)
        super().__init__(status, detail, headers)


class Fault(BaseModel):
    """One faulty value of a request."""

    where: str = Field(description="Its place, for instance body.top_n")
    expected: str
    found: str


class ProblemModel(BaseModel):
    """Why there is no result."""

    title: str = Field(description="The status in words")
    status: int = Field(description="The status")
    detail: str = Field(description="What was expected, what was found, and what to do")
    faults: list[Fault] = Field(default=[], description="The faulty values, if the form of the request is wrong")
    id: str | None = Field(default=None, description="Id of a failure in the server's log")


def problem_response(error: HTTPException, *, faults: Sequence[Fault] = (), identity: str | None = None) -> Response:
    """Return the answer for a problem."""
    status = HTTPStatus(error.status_code)
    problem = ProblemModel(
        title=status.phrase, status=status, detail=str(error.detail), faults=list(faults), id=identity
    )
    # In ASCII: a value of the request may be text that cannot be encoded.
    content = json.dumps(problem.model_dump(exclude_defaults=True))
    return Response(content, status, error.headers, MEDIA_TYPE)


async def on_problem(request: Request, error: Exception) -> Response:
    """Answer with a problem, also for errors of the framework, such as an unknown page."""
    assert isinstance(error, HTTPException)
    if error.status_code == HTTPStatus.BAD_REQUEST:  # the framework's error for bytes that are not text
        error = HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, UNREADABLE)
    return problem_response(error)


async def on_invalid_request(request: Request, error: Exception) -> Response:
    """Answer a request whose form is not that of its description."""
    assert isinstance(error, RequestValidationError)
    faults = [_fault(each) for each in error.errors()]
    detail = "; ".join(f"{fault.where}: {fault.expected}, found {fault.found}" for fault in faults)
    return problem_response(HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, detail), faults=faults)


def _fault(error: dict[str, Any]) -> Fault:
    where, expected, found = ".".join(map(str, error["loc"])), str(error["msg"]), ascii(error.get("input"))
    if error.get("type") == "json_invalid":
        where, expected = "body", "Input should be JSON"
        found = f"{error['ctx']['error']}: character {error['loc'][-1]}"
    elif isinstance(error.get("input"), bytes):  # sent without the content type of JSON
        expected = "Input should be JSON, sent with Content-Type: application/json"
    found = found if len(found) <= _MAX_SHOWN else f"{found[:_MAX_SHOWN]}…"
    return Fault(where=where, expected=expected, found=found)


def described(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return how OpenAPI describes the problems of a route."""
    schema = {"schema": {"$ref": "#/components/schemas/ProblemModel"}}
    return {
        status: {"description": HTTPStatus(status).phrase, "content": {MEDIA_TYPE: schema}, "model": ProblemModel}
        for status in statuses
    }
