"""How far our clock is from those of the stores: real servers that answer with the dates a test wants."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.settings import Settings
from service.surroundings.store_clocks import StoreClocks
from service.telemetry.event import Clock
from tests.conftest import TickingClock
from tests.dated_store import DatedStore, http_date

# The wall clock of the ticking clock at its beginning.
NOW = 1_770_000_000


Serve = Callable[..., DatedStore]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts a store; it ends with the test."""
    with ExitStack() as stack:
        yield lambda date, **options: stack.enter_context(DatedStore(lambda: date, **options))


@contextmanager
def asking(clock: Clock, **urls: str) -> Iterator[StoreClocks]:
    """The clocks of these stores; the client is closed in the end."""
    client = httpx.Client(trust_env=False, timeout=5.0, limits=httpx.Limits(max_keepalive_connections=0))
    with client:
        yield StoreClocks(urls, clock=clock, open_client=lambda: client)


@pytest.mark.parametrize(
    ("date", "skew"),
    [
        (NOW, 0.0),  # half a second, which the header cannot tell
        (NOW - 1, 0.0),
        (NOW + 1, -1.5),
        (NOW - 2, 1.5),
        (NOW - 30, 29.5),
        (NOW + 3600, -3600.5),
    ],
)
def test_the_skew_is_ours_minus_the_stores(serve: Serve, ticking: TickingClock, date: int, skew: float) -> None:
    """Above 0 when ours is ahead, told to half a second; below one second it is 0."""
    store = serve(http_date(date))

    with asking(ticking.as_clock(), loki=store.url) as clocks:
        assert clocks.read() == {"loki": skew}


def test_half_the_round_trip_is_the_way_back(serve: Serve, ticking: TickingClock) -> None:
    """An answer that took 4 s and is dated 20 s ago was 18 s old when it was written, half a second for the header's second less."""
    store = serve(http_date(NOW + 4 - 20), meanwhile=lambda: ticking.tick(4))

    with asking(ticking.as_clock(), prometheus=store.url) as clocks:
        assert clocks.read() == {"prometheus": 17.5}


def test_an_answer_that_took_longer_than_its_time_is_none(serve: Serve, ticking: TickingClock) -> None:
    """By half of six seconds nothing can be told; the client's own limit is for each of its steps."""
    store = serve(http_date(NOW - 600), meanwhile=lambda: ticking.tick(6))

    with asking(ticking.as_clock(), prometheus=store.url) as clocks:
        assert clocks.read() == {}


@pytest.mark.parametrize("status", [200, 302, 401, 404])
def test_any_answer_of_the_store_has_its_date(serve: Serve, ticking: TickingClock, status: int) -> None:
    """Also one that wants a password or does not know the path; redirects are not followed."""
    store = serve(http_date(NOW - 60), status=status)

    with asking(ticking.as_clock(), loki=store.url) as clocks:
        assert clocks.read() == {"loki": 59.5}


@pytest.mark.parametrize(
    ("date", "status"),
    [
        (http_date(NOW - 60), 502),  # of a proxy before a store that is down
        (http_date(NOW - 60), 503),
        (None, 200),
        ("", 200),
        ("yesterday", 200),
        ("Mon, 02 Feb 2026 02:40:00", 200),  # no zone
        ("Mon, 99 Feb 2026 02:40:00 GMT", 200),
        ("Mon, 02 Feb 99999999999 02:40:00 GMT", 200),
    ],
)
def test_an_answer_without_a_date_of_the_store_is_none(serve: Serve, ticking: TickingClock, date: str | None, status: int) -> None:
    """No series, rather than a wrong one."""
    store = serve(date, status=status)

    with asking(ticking.as_clock(), loki=store.url) as clocks:
        assert clocks.read() == {}


def test_a_store_that_does_not_answer_leaves_the_others(serve: Serve, ticking: TickingClock) -> None:
    """One is gone, one speaks no HTTP, one has no address at all."""
    well = serve(http_date(NOW - 10))
    with closing(socket.socket()) as gone:
        gone.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{gone.getsockname()[1]}"
        with asking(ticking.as_clock(), prometheus=url, loki="not a url", jaeger=well.url) as clocks:
            assert clocks.read() == {"jaeger": 9.5}


def test_a_path_costs_the_store_little_and_stands_below_its_prefix(serve: Serve, ticking: TickingClock) -> None:
    """What it was built from, or its front page."""
    store = serve(http_date(NOW))

    with asking(ticking.as_clock(), prometheus=store.url, loki=f"{store.url}/", jaeger=f"{store.url}/jaeger") as clocks:
        clocks.read()

    assert store.asked == ["/api/v1/status/buildinfo", "/loki/api/v1/status/buildinfo", "/jaeger/"]


def test_those_of_the_settings_are_asked() -> None:
    """None without settings; an empty one is none."""
    assert not StoreClocks.of(Settings.load(), Clock())
    assert not StoreClocks.of(Settings.load(loki_url=""), Clock())
    assert StoreClocks.of(Settings.load(prometheus_url="http://127.0.0.1:9090"), Clock())


@given(skew=st.floats(-86_400, 86_400), second=st.floats(0, 0.999), way=st.floats(0, 2))
def test_what_is_told_is_never_far_from_the_truth(skew: float, second: float, way: float) -> None:
    """Whatever the skew, the moment within a second and the time of the way: off by half a second, or under one and a half and told as 0."""
    theirs = 1_700_000_000.0 + second
    moments = iter([0.0, 2 * way])
    clock = Clock(monotonic=lambda: next(moments), unix_ns=lambda: round((theirs + way + skew) * 1e9))
    transport = httpx.MockTransport(lambda _: httpx.Response(200, headers={"Date": http_date(int(theirs))}))
    with httpx.Client(transport=transport) as client:
        told = StoreClocks({"loki": "http://store.invalid"}, clock=clock, open_client=lambda: client).read()["loki"]

    assert abs(told - skew) <= 0.501 or (told == 0 and abs(skew) < 1.501)
