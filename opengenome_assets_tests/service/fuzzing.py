"""Requests that schemathesis makes up from the server's own description, and what it checks of the answers.

The tests import this module where they use it: importing schemathesis takes longer than most tests.
"""

import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


def fuzz(url: str, route: tuple[str, str], examples: int) -> None:
    """Send requests to a route; each answer has to be one that the server describes, and no failure of the server."""
    method, path = route
    operation = schemathesis.openapi.from_url(f"{url}/openapi.json")[path][method]

    @given(operation.as_strategy())
    @settings(max_examples=examples, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
    def send(case: schemathesis.Case) -> None:
        case.call_and_validate(checks=CHECKS)

    send()
