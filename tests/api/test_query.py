"""The search parameters of `GET /v1/requests`."""

from __future__ import annotations

import pytest

from service.api.query import parse_everywhere, parse_limit, parse_search
from service.errors import InvalidQuery, Outcome
from service.requeststore.base import Search


def test_without_parameters_everything_is_looked_for():
    """Fifty at a time."""
    assert parse_search([]) == Search(limit=50)


def test_every_parameter_is_understood():
    """Moments as nanoseconds, milliseconds as seconds."""
    search = parse_search(
        [
            ("status", "error"),
            ("label", "partial_match"),
            ("since", "2026-11-22T08:00:00Z"),
            ("until", "2026-11-22T16:00:00.5+08:00"),
            ("min_latency_ms", "800"),
            ("limit", "500"),
            ("cursor", "abc"),
            ("everywhere", "true"),
        ]
    )
    assert search == Search(
        status=Outcome.ERROR,
        label="partial_match",
        since_unix_ns=1_795_334_400_000_000_000,
        until_unix_ns=1_795_334_400_500_000_000,
        min_latency=0.8,
        limit=500,
        cursor="abc",
        everywhere=True,
    )


def test_empty_parameters_count_as_absent():
    """HTML forms send every field."""
    assert parse_search([("status", ""), ("since", " "), ("limit", ""), ("cursor", ""), ("everywhere", "")]) == Search()


@pytest.mark.parametrize(
    ("text", "unix_ns"),
    [
        ("0", 0),
        ("1795334400", 1_795_334_400_000_000_000),
        ("1795334400.25", 1_795_334_400_250_000_000),
        ("1.7953344e9", 1_795_334_400_000_000_000),
        ("99999999999", 9_223_372_036_854_775_807),
        ("1e99", 9_223_372_036_854_775_807),
        ("9999-12-31T23:59:59Z", 9_223_372_036_854_775_807),
        ("1900-01-01T00:00:00Z", 0),
        ("2026-11-22T08:00:00.123456Z", 1_795_334_400_123_456_000),
        ("2026-11-22T16:00:00 08:00", 1_795_334_400_000_000_000),
        ("2026-11-22 08:00:00 00:00", 1_795_334_400_000_000_000),
    ],
)
def test_a_moment_is_rfc_3339_or_unix_seconds(text, unix_ns):
    """A plus sign that was not encoded arrives as a blank, and is understood; the far past and future are what the store can hold."""
    assert parse_search([("since", text)]).since_unix_ns == unix_ns


@pytest.mark.parametrize(
    ("name", "value", "detail"),
    [
        ("status", "failed", "status is one of success, invalid, overloaded, timeout, cancelled, error."),
        ("status", "ERROR", "status is one of success, invalid, overloaded, timeout, cancelled, error."),
        ("label", "match", "label is one of not_match, partial_match, exact_match."),
        ("since", "yesterday", "since is a moment with its time zone, such as 2026-11-22T08:00:00Z, or Unix seconds."),
        ("since", "2026-11-22T08:00:00", "since is a moment with its time zone, such as 2026-11-22T08:00:00Z, or Unix seconds."),
        ("since", "-1", "since is a moment with its time zone, such as 2026-11-22T08:00:00Z, or Unix seconds."),
        ("until", "1_0", "until is a moment with its time zone, such as 2026-11-22T08:00:00Z, or Unix seconds."),
        ("until", "9" * 5000, "until is a moment with its time zone, such as 2026-11-22T08:00:00Z, or Unix seconds."),
        ("until", "0001-01-01T00:00:00+99:00", "until is a moment with its time zone, such as 2026-11-22T08:00:00Z, or Unix seconds."),
        ("min_latency_ms", "-5", "min_latency_ms is a number of milliseconds, such as 800."),
        ("min_latency_ms", "1e999", "min_latency_ms is a number of milliseconds, such as 800."),
        ("min_latency_ms", "9" * 5000, "min_latency_ms is a number of milliseconds, such as 800."),
        ("min_latency_ms", "nan", "min_latency_ms is a number of milliseconds, such as 800."),
        ("limit", "0", "limit is a whole number from 1 to 500."),
        ("limit", "501", "limit is a whole number from 1 to 500."),
        ("limit", "ten", "limit is a whole number from 1 to 500."),
        ("limit", "１０", "limit is a whole number from 1 to 500."),
        ("everywhere", "yes", "everywhere is true or false."),
        ("everywhere", "True", "everywhere is true or false."),
        ("limit", "9" * 5000, "limit is a whole number from 1 to 500."),
        (
            "statuses",
            "error",
            (
                "There is no such parameter; there are status, since, until, min_latency_ms, label, limit, cursor, everywhere. "
                "Did you mean status?"
            ),
        ),
        ("x" * 9000, "1", "There is no such parameter; there are status, since, until, min_latency_ms, label, limit, cursor, everywhere."),
    ],
)
def test_a_bad_parameter_is_named_with_what_it_can_be(name, value, detail):
    """Nothing is silently ignored."""
    with pytest.raises(InvalidQuery) as raised:
        parse_search([(name, value)])
    assert (raised.value.parameter, raised.value.detail) == (name[:64], detail)


def test_a_parameter_given_twice_is_refused():
    """Which one was meant?"""
    with pytest.raises(InvalidQuery, match="status is given more than once"):
        parse_search([("status", "error"), ("status", "timeout")])


def test_an_end_before_its_beginning_is_refused():
    """It would find nothing, for ever."""
    with pytest.raises(InvalidQuery) as raised:
        parse_search([("since", "20"), ("until", "10")])
    assert (raised.value.parameter, raised.value.detail) == ("until", "until is before since.")


def test_a_limit_of_ten_point_nought_is_ten():
    """JSON does not tell them apart."""
    assert parse_limit(10.0) == 10


@pytest.mark.parametrize("value", [True, 1.5, float("inf"), None, [], "1.0"])
def test_a_limit_in_a_body_is_a_whole_number(value):
    """JSON has more kinds of values than a query."""
    with pytest.raises(InvalidQuery):
        parse_limit(value)


@pytest.mark.parametrize(("value", "everywhere"), [(True, True), (False, False), ("true", True), ("false", False)])
def test_everywhere_is_a_truth_or_its_word(value, everywhere):
    """JSON has truths, a form sends words."""
    assert parse_everywhere(value) is everywhere


@pytest.mark.parametrize("value", [1, 0, None, [], "1", ""])
def test_everywhere_in_a_body_is_nothing_else(value):
    """What it meant would be a guess."""
    with pytest.raises(InvalidQuery) as raised:
        parse_everywhere(value)
    assert (raised.value.parameter, raised.value.detail) == ("everywhere", "everywhere is true or false.")
