"""The search over all boxes: offered where Loki can be asked, and refused in words where it cannot."""

from __future__ import annotations

import pytest

from service.hashing import AddressHasher
from service.requeststore.stack import StackRequestStore
from tests.api.composition import Service
from tests.api.events import SUCCESS
from tests.api.test_pages import Page
from tests.unit.requeststore.recorded import METADATA_1, METADATA_2, NOW, RecordedStack, within_its_time

HTML = {"Accept": "text/html"}
REFUSED = "everywhere asks Loki for the requests of all boxes, and Loki is not set up; set MGEO_LOKI_URL."


@pytest.fixture
def recorded() -> RecordedStack:
    """A stack whose Loki has two requests of other boxes."""
    stack = RecordedStack()
    stack.broken["loki"] = within_its_time(METADATA_1, METADATA_2)
    return stack


@pytest.fixture
async def central(start, recorded: RecordedStack) -> Service:
    """A service on the stack that other boxes send to, with one request of its own."""
    service = await start(stack=StackRequestStore(recorded.backends(), unix_ns=lambda: NOW))
    service.store.add(SUCCESS)
    return service


def ids(response) -> list[str]:
    """The requests of an answer."""
    assert response.status_code == 200
    return [request["request_id"] for request in response.json()["requests"]]


def boxes(html: str) -> list[tuple[str | None, str | None, bool]]:
    """Name, value and state of every checkbox of a page."""
    return [
        (attributes["name"], attributes["value"], "checked" in attributes)
        for tag, attributes in Page(html).elements
        if tag == "input" and attributes.get("type") == "checkbox"
    ]


async def test_a_search_is_of_this_service_unless_everywhere_is_asked_for(central: Service, recorded: RecordedStack) -> None:
    """Loki is not asked without need."""
    for query in ({}, {"everywhere": "false"}, {"everywhere": ""}):
        assert ids(await central.client.get("/v1/requests", params=query)) == ["shop-42"]
    assert recorded.asked == []
    assert ids(await central.client.get("/v1/requests", params={"everywhere": "true"})) == ["r-2", "r-1"]


async def test_a_search_of_everywhere_goes_on_by_its_cursor(central: Service) -> None:
    """With the parameter, as the form sends it."""
    first = (await central.client.get("/v1/requests", params={"everywhere": "true", "limit": "1"})).json()
    rest = await central.client.get("/v1/requests", params={"everywhere": "true", "limit": "1", "cursor": first["next_cursor"]})
    assert ([request["request_id"] for request in first["requests"]], ids(rest)) == (["r-2"], ["r-1"])
    assert rest.json()["next_cursor"] is None


@pytest.mark.parametrize(
    "how",
    [
        {"json": {"address1": "杭州市余杭区", "everywhere": True}},
        {"data": {"address1": "杭州市余杭区", "everywhere": "true"}},
    ],
)
async def test_an_address_is_looked_for_everywhere_by_the_hash_of_this_service(central: Service, recorded: RecordedStack, how) -> None:
    """From a program and from a form; the address itself goes nowhere."""
    assert ids(await central.client.post("/v1/requests/search", **how)) == ["r-2", "r-1"]
    digest = AddressHasher(b"k" * 32).hash("杭州市余杭区")
    queries = {request.url.params["query"] for request in recorded.asked}
    assert queries == {f'{{service_name="mgeo"}} |= `mgeo.inference` | address1_hash="{digest}" or address2_hash="{digest}"'}


async def test_the_pages_offer_it_and_keep_it_on_the_way_to_older_ones(central: Service) -> None:
    """A checkbox in each form that searches, set as it was sent; the hidden field goes along with the cursor."""
    overview = await central.client.get("/", headers=HTML)
    assert boxes(overview.text) == [("everywhere", "true", False)]
    unset = await central.client.get("/v1/requests", headers=HTML)
    assert boxes(unset.text) == [("everywhere", "true", False), ("everywhere", "true", False)]
    shown = await central.client.get("/v1/requests", params={"everywhere": "true", "limit": "1"}, headers=HTML)
    assert boxes(shown.text) == [("everywhere", "true", True), ("everywhere", "true", False)]
    hidden = {attributes["name"]: attributes["value"] for _, attributes in Page(shown.text).elements if attributes.get("type") == "hidden"}
    assert hidden.pop("cursor").startswith("s")
    assert hidden == {"limit": "1", "everywhere": "true"}


async def test_a_page_says_that_all_boxes_were_searched(central: Service) -> None:
    """In its heading, and by the box that stays ticked; also when it was an address, which is not shown again."""
    sent = {"address1": "杭州市余杭区", "everywhere": "true"}
    found = await central.client.post("/v1/requests/search", data=sent, headers=HTML)
    here = await central.client.post("/v1/requests/search", data={"address1": "杭州市余杭区"}, headers=HTML)
    listed = await central.client.get("/v1/requests", params={"everywhere": "true"}, headers=HTML)

    assert "Requests with this address on all boxes" in Page(found.text).words()
    assert boxes(found.text) == [("everywhere", "true", True)]
    assert "on all boxes" not in Page(here.text).words()
    assert boxes(here.text) == [("everywhere", "true", False)]
    assert "Requests on all boxes" in Page(listed.text).words()


async def test_the_api_document_has_it(central: Service) -> None:
    """As a parameter, and as a field."""
    paths = (await central.client.get("/openapi.json")).json()["paths"]
    (parameter,) = [each for each in paths["/v1/requests"]["get"]["parameters"] if each["name"] == "everywhere"]
    assert parameter["schema"] == {"type": "boolean", "default": False}
    schema = paths["/v1/requests/search"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert (schema["properties"]["everywhere"]["type"], schema["required"]) == ("boolean", ["address1"])
    assert "everywhere" in (await central.client.get("/docs", headers=HTML)).text


async def test_without_a_stack_it_is_not_offered(client) -> None:
    """Neither on a page nor in the API document."""
    for path in ("/", "/v1/requests"):
        assert boxes((await client.get(path, headers=HTML)).text) == []
    paths = (await client.get("/openapi.json")).json()["paths"]
    assert "everywhere" not in [each["name"] for each in paths["/v1/requests"]["get"]["parameters"]]
    schema = paths["/v1/requests/search"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert list(schema["properties"]) == ["address1", "address2", "limit", "cursor"]


@pytest.mark.parametrize("without", [("jaeger", "loki", "prometheus"), ("loki",), None])
async def test_without_loki_it_is_refused_with_the_setting_that_is_wanted(start, without) -> None:
    """A 422 that names parameter and setting, whatever else of a stack there is."""
    stack = None if without is None else StackRequestStore(RecordedStack().backends(without=without))
    client = (await start(stack=stack)).client
    for response in (
        await client.get("/v1/requests?everywhere=true"),
        await client.post("/v1/requests/search", json={"address1": "杭州", "everywhere": True}),
    ):
        problem = response.json()
        assert (response.status_code, problem["error_type"], problem["field"]) == (422, "invalid_query", "everywhere")
        assert (problem["detail"], problem["retryable"]) == (REFUSED, False)
        assert response.headers["content-type"] == "application/problem+json"
    page = await client.get("/v1/requests?everywhere=true", headers=HTML)
    assert (page.status_code, REFUSED in Page(page.text).words()) == (422, True)


async def test_a_loki_that_is_away_is_a_503_and_not_the_requests_of_this_service(central: Service, recorded: RecordedStack) -> None:
    """A part would be taken for the whole."""

    def away(_request):
        raise TimeoutError

    recorded.broken["loki"] = away
    response = await central.client.get("/v1/requests?everywhere=true")
    assert (response.status_code, response.json()["error_type"]) == (503, "store_unavailable")
    assert ids(await central.client.get("/v1/requests")) == ["shop-42"]


@pytest.mark.parametrize("value", ["yes", 1, None])
async def test_everywhere_is_a_truth(central: Service, value) -> None:
    """Anything else is refused by name."""
    response = await central.client.post("/v1/requests/search", json={"address1": "杭州", "everywhere": value})
    assert (response.status_code, response.json()["field"], response.json()["detail"]) == (
        422,
        "everywhere",
        "everywhere is true or false.",
    )
