"""`mgeo lookup`, in a data folder and through the API."""

from __future__ import annotations

import json
import re

import pytest

from cli.lookup import command as lookup_module
from cli.main import main

ID = re.compile(r"mgeo lookup ([0-9a-f-]{36})")


@pytest.fixture
def served(capsys):
    """The id of a request this data folder knows."""
    assert main(["match", "甲路1号", "甲路一号", "--model", "fake"]) == 0
    return ID.search(capsys.readouterr().out)[1]


@pytest.fixture(autouse=True)
def nothing_at_the_default_address(monkeypatch):
    """A service the developer runs does not answer the tests."""
    monkeypatch.setattr(lookup_module, "DEFAULT_URL", "http://127.0.0.1:9")


class Api:
    """Answers every request with one status and body; keeps what was asked."""

    def __init__(self, status, members):
        self.status = status
        self.body = members if isinstance(members, bytes) else json.dumps(members).encode()
        self.asked = []

    async def __call__(self, scope, receive, send):
        message = await receive()
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        self.asked.append((scope["method"], scope["path"], message["body"], headers.get("authorization"), headers["accept"]))
        length = [(b"content-length", str(len(self.body)).encode())]
        await send({"type": "http.response.start", "status": self.status, "headers": length})
        await send({"type": "http.response.body", "body": self.body})


def test_a_request_is_found_in_the_data_folder(served, capsys):
    """When no service runs."""
    assert main(["lookup", served]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith(f"{served}\n\nAnswered by the model.\n  partial_match, similarity 0.500 (")
    assert '"event": "mgeo.inference"' in shown


def test_a_data_folder_may_be_named(served, capsys, tmp_path, monkeypatch):
    """Then no service is asked."""
    monkeypatch.setenv("MGEO_DATA_DIR", "elsewhere")
    assert main(["lookup", served, "--data-dir", str(tmp_path / "var"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["request_id"] == served
    assert main(["lookup", served, "--data-dir", str(tmp_path / "other")]) == 1
    error = capsys.readouterr().err
    assert f"  - there is no store {tmp_path / 'other' / 'telemetry.db'}\n" in error
    assert "nothing answers" not in error


def test_a_request_nobody_knows_is_exit_code_1_with_what_to_try(served, capsys, tmp_path):
    """Where it was looked for, and what may be the reason."""
    assert main(["lookup", "unknown"]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("Nothing was found of unknown:\n  - nothing answers at http://127.0.0.1:9 (")
    assert f"  - the store {tmp_path / 'var' / 'telemetry.db'} does not know it\nWhat to check:\n  - is it mistyped?\n" in captured.err


def test_a_stack_that_is_away_leaves_the_story_of_the_data_folder(served, capsys, monkeypatch):
    """Which says what the stack would have added."""
    monkeypatch.setenv("MGEO_JAEGER_URL", "http://127.0.0.1:9")
    assert main(["lookup", served]) == 0
    assert "missing: Jaeger cannot be reached (connection refused): the HTTP request around it is missing\n" in capsys.readouterr().out


def test_a_stack_that_is_away_cannot_tell_without_a_data_folder(capsys, tmp_path, monkeypatch):
    """It is no answer that nothing is known; and no key is made to find addresses by."""
    monkeypatch.setenv("MGEO_LOKI_URL", "http://127.0.0.1:9")
    assert main(["lookup", "r-1", "--data-dir", str(tmp_path / "none")]) == 1
    assert capsys.readouterr().err == "mgeo: it was not found, but not all could be asked: Loki cannot be reached (connection refused)\n"
    assert main(["lookup", "--address", "甲路", "--data-dir", str(tmp_path / "none")]) == 1
    assert (
        f"  - {tmp_path / 'none'} has no hash key to find addresses by; name the service's with MGEO_HASH_KEY_FILE\n"
        in capsys.readouterr().err
    )
    assert not (tmp_path / "none").exists()


def test_prometheus_alone_is_no_place_to_look(capsys, tmp_path, monkeypatch):
    """It knows no single request."""
    monkeypatch.setenv("MGEO_PROMETHEUS_URL", "http://127.0.0.1:9")
    assert main(["lookup", "r-1", "--data-dir", str(tmp_path / "none")]) == 1
    assert f"there is no store {tmp_path / 'none' / 'telemetry.db'}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("addresses", "count"),
    [(["甲路1号"], 1), (["甲路一号", " 甲路1号 "], 1), (["乙路"], 0), (["甲路1号", "乙路"], 0)],
)
def test_requests_are_found_by_address(served, capsys, addresses, count):
    """By the keyed hash of the cleaned text, on either side; with two addresses only those that had both."""
    arguments = [part for address in addresses for part in ("--address", address)]
    assert main(["lookup", *arguments]) == 1 - count
    captured = capsys.readouterr()
    if count:
        (line,) = captured.out.splitlines()
        assert line.endswith(served)
    else:
        assert captured.err.startswith("No request with that address was found:\n")
        assert "only its keyed hash is kept" in captured.err


def test_an_address_without_content_cannot_be_looked_for(served, capsys):
    """Its message is that of an inference."""
    assert main(["lookup", "--address", "  "]) == 1
    assert capsys.readouterr().err == "mgeo: the address has no visible character\n"


def test_no_store_means_no_address_either(capsys):
    """And no key is made by looking."""
    assert main(["lookup", "--address", "甲"]) == 1
    assert "there is no store" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["an-id", "--address", "甲"], ["--address", "甲", "--address", "乙", "--address", "丙"]])
def test_either_an_id_or_addresses(arguments, capsys):
    """Anything else is a wrong usage."""
    assert main(["lookup", *arguments]) == 2
    assert "either a request id, or --address once or twice" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize("wrong", ["a b", "甲", "x" * 129, "id:", "id:x", "../../etc"])
def test_what_cannot_be_an_id_is_a_wrong_usage(wrong, capsys):
    """It is not sent anywhere."""
    assert main(["lookup", wrong]) == 2
    assert "is no request id" in " ".join(capsys.readouterr().err.split())


def test_a_wrong_url_is_a_wrong_usage(capsys):
    """Before anything is asked."""
    assert main(["lookup", "an-id", "--url", "nowhere"]) == 2
    assert "is not the address of a service" in " ".join(capsys.readouterr().err.split())


def test_a_service_that_is_named_is_asked_and_nothing_else(served, serve_app, capsys):
    """Its JSON comes out as it is; the store here is not read."""
    api = Api(200, {"request_id": served, "attempts": [], "more": 0, "missing": [], "links": {}})
    url = serve_app(api)
    assert main(["lookup", served, "--url", url, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["attempts"] == []
    assert api.asked == [("GET", f"/v1/requests/{served}", b"", None, "application/json")]
    missing = serve_app(Api(404, {"error_type": "request_not_found", "detail": "x"}))
    assert main(["lookup", served, "--url", missing]) == 1
    assert f"  - the service at {missing} does not know it\n" in capsys.readouterr().err


def test_a_service_and_a_folder_may_both_be_named(served, serve_app, capsys, tmp_path):
    """They are asked in this order."""
    missing = serve_app(Api(404, {"error_type": "request_not_found", "detail": "x"}))
    assert main(["lookup", served, "--url", missing, "--data-dir", str(tmp_path / "var")]) == 0
    assert capsys.readouterr().out.startswith(served)


def test_one_pair_of_a_batch_is_asked_for_by_its_index(serve_app, monkeypatch, capsys):
    """With the key of the environment, at the address of the environment."""
    api = Api(200, {"request_id": "r:3", "attempts": [], "more": 0, "missing": [], "links": {}})
    monkeypatch.setenv("MGEO_URL", serve_app(api))
    monkeypatch.setenv("MGEO_API_KEY", "s3cret")
    assert main(["lookup", "r:3"]) == 0
    assert api.asked == [("GET", "/v1/requests/r:3", b"", "Bearer s3cret", "application/json")]
    assert capsys.readouterr().out == "r:3\n"


def test_addresses_are_posted_to_a_service(serve_app, capsys):
    """They never stand in a URL, which others log."""
    api = Api(200, {"requests": [], "next_cursor": None})
    assert main(["lookup", "--address", "甲", "--address", "乙", "--limit", "5", "--url", serve_app(api)]) == 1
    ((method, path, body, *_),) = api.asked
    assert (method, path, json.loads(body)) == ("POST", "/v1/requests/search", {"address1": "甲", "address2": "乙", "limit": 5})


def test_addresses_are_looked_for_on_all_boxes_when_asked(serve_app, capsys):
    """The service asks its stack; nothing found may be for want of a common key."""
    api = Api(200, {"requests": [], "next_cursor": None})
    assert main(["lookup", "--address", "甲", "--everywhere", "--url", serve_app(api)]) == 1
    ((_, _, body, *_),) = api.asked
    assert json.loads(body) == {"address1": "甲", "limit": 20, "everywhere": True}
    error = capsys.readouterr().err
    assert "  - do all boxes hash addresses with the same key (MGEO_HASH_KEY_FILE)?\n" in error
    assert "--everywhere" not in error


def test_who_finds_nothing_here_is_told_of_the_other_boxes(served, capsys):
    """And is not told so of an id, which is looked for everywhere."""
    assert main(["lookup", "--address", "乙路"]) == 1
    assert "  - was it served by another box that sends to the same stack (--everywhere)?\n" in capsys.readouterr().err
    assert main(["lookup", "unknown"]) == 1
    assert "--everywhere" not in capsys.readouterr().err


def test_all_boxes_are_searched_from_a_data_folder_by_its_stack(served, capsys, monkeypatch):
    """Which is asked instead of the store, and is named when it cannot tell."""
    monkeypatch.setenv("MGEO_LOKI_URL", "http://127.0.0.1:9")
    assert main(["lookup", "--address", "甲路1号", "--everywhere"]) == 1
    assert capsys.readouterr().err == "mgeo: Loki cannot be reached (connection refused)\n"


def test_all_boxes_cannot_be_searched_without_loki(served, capsys):
    """It says which setting is wanted, and does not show the requests of this box instead."""
    assert main(["lookup", "--address", "甲路1号", "--everywhere"]) == 1
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == (
        "",
        "mgeo: everywhere asks Loki for the requests of all boxes, and Loki is not set up; set MGEO_LOKI_URL.\n",
    )


def test_an_id_is_looked_for_everywhere_anyway(capsys):
    """The option with an id is a wrong usage."""
    assert main(["lookup", "an-id", "--everywhere"]) == 2
    assert "--everywhere goes with --address" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    ("status", "members", "message"),
    [
        (
            401,
            {"detail": "This needs an API key."},
            "answered 401: This needs an API key.; put the key into MGEO_API_KEY or --api-key-file",
        ),
        (503, {}, "answered 503: no reason given"),
        (404, {"error_type": "not_found", "detail": "There is nothing."}, "answered 404: There is nothing."),
    ],
)
def test_a_service_that_refuses_is_quoted(serve_app, capsys, status, members, message):
    """Exit code 1."""
    url = serve_app(Api(status, members))
    assert main(["lookup", "an-id", "--url", url]) == 1
    assert capsys.readouterr().err == f"mgeo: the service at {url} {message}\n"


@pytest.mark.parametrize("body", [b"<html>", b"[]", b""])
def test_something_else_at_the_address_is_not_mistaken_for_mgeo(serve_app, capsys, body):
    """It does not speak JSON objects."""
    url = serve_app(Api(200, body))
    assert main(["lookup", "an-id", "--url", url]) == 1
    assert f"  - what answers at {url} is not mgeo (status 200, no JSON)\n" in capsys.readouterr().err
