"""The API driven from its own OpenAPI document: what it promises is what a real server does."""

from __future__ import annotations

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import checks
from schemathesis.specs.openapi import checks as openapi_checks

from tests.e2e.server import Server

pytestmark = pytest.mark.slow

# Left out are those that want every undocumented input refused: fields that are not asked for are ignored on purpose.
CHECKS = (
    checks.not_a_server_error,
    openapi_checks.status_code_conformance,
    openapi_checks.content_type_conformance,
    openapi_checks.response_headers_conformance,
    openapi_checks.response_schema_conformance,
    openapi_checks.unsupported_method,
)

EXAMPLES = 60


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """One server for all calls."""
    server = Server(tmp_path_factory.mktemp("openapi")).ready()
    yield server
    server.stop()


@pytest.mark.parametrize("mode", list(schemathesis.GenerationMode))
def test_the_server_answers_as_its_document_says(server, mode):
    """No 5xx, only documented statuses and media types, bodies of the documented shape, whether the call is valid or not."""
    document = schemathesis.openapi.from_url(f"{server.url}/openapi.json")
    operations = [found.ok() for found in document.get_all_operations()]
    assert sorted(operation.label for operation in operations) == [
        "GET /livez", "GET /metrics", "GET /readyz", "GET /v1/model", "GET /v1/requests", "GET /v1/requests/{request_id}",
        "POST /v1/match", "POST /v1/match/batch", "POST /v1/requests/search",
    ]  # fmt: skip
    for operation in operations:
        _drive(operation, mode)


def _drive(operation, mode):
    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(max_examples=EXAMPLES, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck))
    def call(case):
        response = case.call()
        # Whoever asks for an answer within a microsecond gets what the document says: 504.
        hurried = response.status_code == 504 and "X-Request-Timeout" in (case.headers or {})
        case.validate_response(response, checks=[check for check in CHECKS if not (hurried and check is checks.not_a_server_error)])

    try:
        call()
    except Unsatisfiable:
        assert mode is schemathesis.GenerationMode.NEGATIVE, f"no valid call of {operation.label} could be made"
