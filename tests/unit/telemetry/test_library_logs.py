"""What libraries say, without what they say it about."""

from __future__ import annotations

import logging

import pytest

from service.telemetry.library_logs import LibraryLogHandler


@pytest.fixture
def written():
    return []


@pytest.fixture
def logger(written):
    logger = logging.Logger("some.library")  # noqa: LOG001 -- one of this test's own, for nobody else to find
    logger.addHandler(LibraryLogHandler(written.append, service="mgeo", instance="one"))
    return logger


def test_a_warning_leaves_who_when_and_how_badly(logger, written) -> None:
    """The line has the schema of all lines."""
    logger.handle(logging.makeLogRecord({"name": "some.library", "levelno": logging.WARNING, "created": 1_795_252_087.5, "msg": "x"}))
    assert {name: value for name, value in written[0].items() if value is not None} == {
        "timestamp": "2026-11-21T09:08:07.500000Z",
        "level": "WARNING",
        "event": "mgeo.library",
        "service": "mgeo",
        "instance": "one",
        "function": "some.library",
    }


def test_no_part_of_the_message_is_kept(logger, written) -> None:
    """Text, arguments, extra fields and the exception may all quote an address."""
    try:
        {}["杭州市西湖区"]
    except KeyError:
        logger.exception("cannot read %s", "杭州市西湖区", extra={"address": "杭州市西湖区"})
    assert written[0]["level"] == "ERROR"
    assert "西湖" not in str(written)


@pytest.mark.parametrize(("number", "level"), [(30, "WARNING"), (35, "WARNING"), (40, "ERROR"), (50, "CRITICAL"), (60, "CRITICAL")])
def test_levels_of_a_librarys_own_are_rounded_down_to_ours(logger, written, number: int, level: str) -> None:
    """The set of levels is closed."""
    logger.log(number, "message")
    assert written[0]["level"] == level


def test_below_warning_nothing_is_written(logger, written) -> None:
    """A chatty library does not fill the log."""
    logger.info("message")
    logger.debug("message")
    assert written == []
