"""A fuzzer sends the routes of jobs what their description allows, and what it does not."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from opengenome_assets_tests.examples import share
from opengenome_assets_tests.service.lines import jobs_in, listening, send

pytestmark = pytest.mark.slow

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder: Path = tmp_path_factory.mktemp("fuzzed")
    send(jobs_in(folder / "home"), folder / "sent")
    with listening(folder / "home") as url:
        yield url


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("get", "/api/lines"),
        ("post", "/api/lines"),
        ("delete", "/api/lines/{identity}"),
        ("get", "/api/lines/{identity}/status"),
        ("get", "/api/lines/{identity}/results"),
        ("get", "/api/lines/{identity}/events"),
        ("get", "/api/uploads/{sha256}"),
        ("put", "/api/uploads/{sha256}"),
    ],
)
def test_a_fuzzer_finds_no_failure_and_no_answer_that_is_not_described(url: str, method: str, path: str) -> None:
    operation = schemathesis.openapi.from_url(f"{url}/openapi.json")[path][method]

    @given(operation.as_strategy())
    @settings(max_examples=share(60), derandomize=True, suppress_health_check=list(HealthCheck))
    def fuzz(case: schemathesis.Case) -> None:
        case.call_and_validate(checks=CHECKS)

    fuzz()
