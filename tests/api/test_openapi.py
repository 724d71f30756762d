"""The OpenAPI document: complete, with examples that are true to their schemas."""

from __future__ import annotations

import jsonschema
import pytest

from service.api import schemas


@pytest.fixture
async def document(client) -> dict:
    """The document as it is served."""
    return (await client.get("/openapi.json")).json()


def resolved(schema: dict, document: dict) -> dict:
    """The schema with the components it refers to."""
    return {**schema, "components": document["components"]}


async def test_every_operation_of_the_api_is_in_the_document(document):
    """And nothing that is for people only."""
    assert {(method.upper(), path) for path, methods in document["paths"].items() for method in methods} == {
        ("POST", "/v1/match"),
        ("POST", "/v1/match/batch"),
        ("GET", "/v1/requests"),
        ("POST", "/v1/requests/search"),
        ("GET", "/v1/requests/{request_id}"),
        ("GET", "/livez"),
        ("GET", "/readyz"),
        ("GET", "/v1/model"),
        ("GET", "/metrics"),
    }


async def test_every_error_of_every_operation_is_a_problem_document(document):
    """One schema for all of them."""
    for methods in document["paths"].values():
        for operation in methods.values():
            for status, response in operation["responses"].items():
                if status != "200":
                    assert response["content"] == {"application/problem+json": {"schema": {"$ref": "#/components/schemas/ProblemDocument"}}}


async def test_every_reference_leads_somewhere(document):
    """Also those in schemas that were put in by hand."""

    def references(node):
        if isinstance(node, dict):
            yield from ([node["$ref"]] if "$ref" in node else [])
            for value in node.values():
                yield from references(value)
        elif isinstance(node, list):
            for value in node:
                yield from references(value)

    found = set(references(document))
    assert found
    assert {reference.rpartition("/")[2] for reference in found} <= set(document["components"]["schemas"])


async def test_every_example_is_true_to_its_schema(document):
    """Examples are what people copy."""
    checked = 0
    for schema in document["components"]["schemas"].values():
        for example in schema.get("examples", ()):
            jsonschema.validate(example, resolved(schema, document))
            checked += 1
    for path in ("/v1/match", "/v1/match/batch", "/v1/requests/search"):
        schema = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]
        for example in schema["examples"]:
            jsonschema.validate(example, resolved(schema, document))
            checked += 1
    assert checked >= 8


async def test_the_example_requests_are_answered(client, document):
    """As they stand."""
    for path in ("/v1/match", "/v1/match/batch", "/v1/requests/search"):
        schema = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]
        response = await client.post(path, json=schema["examples"][0])
        assert response.status_code == 200
        assert response.json().get("failed", 0) == 0


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/v1/match", {"address1": "杭州", "address2": "杭州"}),
        ("POST", "/v1/match/batch", {"pairs": [{"address1": "杭州", "address2": "杭州"}, {}]}),
        ("GET", "/v1/requests", None),
        ("GET", "/v1/requests/mine", None),
        ("POST", "/v1/requests/search", {"address1": "杭州"}),
        ("GET", "/livez", None),
        ("GET", "/readyz", None),
        ("GET", "/v1/model", None),
    ],
)
async def test_answers_are_true_to_their_schemas(client, document, method, path, body):
    """What is written by hand agrees with what is promised."""
    await client.post("/v1/match", json={"address1": "杭州", "address2": "杭州"}, headers={"X-Request-ID": "mine"})
    response = await client.request(method, path, json=body)
    operation = document["paths"][path.replace("/mine", "/{request_id}")][method.lower()]
    schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
    jsonschema.validate(response.json(), resolved(schema, document))


async def test_problems_are_true_to_their_schema(client, document):
    """Also the ones with more members."""
    schema = document["components"]["schemas"]["ProblemDocument"]
    for response in (await client.get("/nowhere"), await client.post("/v1/match", content=b"{"), await client.get("/v1/requests?limit=0")):
        jsonschema.validate(response.json(), resolved(schema, document))


def test_the_batch_limit_of_the_schema_is_that_of_the_settings():
    """256 pairs."""
    assert schemas.BatchRequest.model_json_schema()["properties"]["pairs"]["maxItems"] == 256
