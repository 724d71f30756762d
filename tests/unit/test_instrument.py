"""The decorator: any function leaves what an inference leaves, and notices nothing of it."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import gc
import gzip
import inspect
import json
import multiprocessing
import os
import random
import sqlite3
import subprocess
import sys
import threading
import traceback
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import service
from service.hashing import AddressHasher, load_hash_key
from service.instrument import monitor_performance, shared
from service.requeststore.sqlite import SqliteRequestStore
from service.telemetry.context import bind_request_id, current_request_id

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parents[2]
FIRST, SECOND = "浙江省杭州市余杭区五常街道文一西路969号", "杭州市西湖区文三路478号"


class Watched:
    """A data folder, and what the decorated functions of a test left there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.spans = InMemorySpanExporter()

    def lines(self) -> list[dict[str, Any]]:
        """Close, and read every log file of the folder, oldest line first; those of processes that ended may be compressed."""
        shared.close()
        files = [*(self.folder / "logs").glob("*.log"), *(self.folder / "logs").glob("*.gz")]
        content = b"".join(gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes() for file in files)
        return sorted(map(json.loads, content.splitlines()), key=lambda line: line["timestamp"])

    def rows(self) -> int:
        """Close, and count the rows of the store."""
        shared.close()
        with sqlite3.connect(self.folder / "telemetry.db") as connection:
            count: int = connection.execute("SELECT count(*) FROM inference").fetchone()[0]
        connection.close()
        return count

    def watch_spans(self) -> None:
        """Open the recording now, and keep its spans from now on."""
        recording = shared.get()
        assert recording is not None
        recording.telemetry.tracer_provider.add_span_processor(SimpleSpanProcessor(self.spans))

    async def texts(self) -> list[tuple[str, str] | None]:
        """Close, and read the captured text of each row by its line, oldest first."""
        store = SqliteRequestStore(self.folder / "telemetry.db", "mgeo")
        stories = [await store.story(line["request_id"]) for line in self.lines()]
        found = [attempt.text for story in stories for attempt in story.attempts]
        store.close()
        return [None if text is None else (text.address1, text.address2) for text in found]


@pytest.fixture
def watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Watched]:
    monkeypatch.setenv("MGEO_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("MGEO_GPU", "off")
    shared.close()
    watched = Watched(tmp_path / "data")
    watched.watch_spans()
    yield watched
    shared.close()


@monitor_performance
def similarity(addr1: str, addr2: str) -> float:
    """How alike two addresses are."""
    return 1.0 if addr1 == addr2 else 0.5


# --- what is left -----------------------------------------------------------------------------------------------------


def test_one_call_leaves_one_line_one_row_one_span_and_one_count(watched: Watched) -> None:
    """All with the ids of one another, and the result is the function's own."""
    assert similarity(FIRST, SECOND) == 0.5
    recording = shared.get()
    assert recording is not None
    counted = [
        line for line in recording.exposition.render()[0].decode().splitlines() if line.startswith('mgeo_requests_total{error_type="",')
    ]

    (line,) = watched.lines()
    (span,) = watched.spans.get_finished_spans()
    assert counted == ['mgeo_requests_total{error_type="",status="success"} 1.0']
    assert watched.rows() == 1
    assert (line["event"], line["function"], line["status"], line["level"]) == ("mgeo.inference", "similarity", "success", "INFO")
    assert (line["service"], line["instance"]) == ("mgeo", recording.slot.instance_id)
    assert (line["address1_length"], line["address2_length"], line["output_length"], line["error_type"]) == (21, 13, None, None)
    assert (line["trace_id"], line["span_id"]) == (f"{span.context.trace_id:032x}", f"{span.context.span_id:016x}")
    assert (span.name, span.parent, span.attributes["mgeo.request.id"]) == ("mgeo.inference", None, line["request_id"])
    assert recording.recorder.active == 0


async def test_the_call_is_found_again_in_the_store_by_its_request_id(watched: Watched) -> None:
    """As any inference of the server is."""
    similarity(FIRST, SECOND)
    (line,) = watched.lines()

    store = SqliteRequestStore(watched.folder / "telemetry.db", "mgeo")
    story = await store.story(line["request_id"])

    (attempt,) = story.attempts
    assert (attempt.event.function, attempt.event.span_id, attempt.text) == ("similarity", line["span_id"], None)


def test_the_hashes_are_those_of_the_service(watched: Watched) -> None:
    """Of the cleaned text under the key of the data folder, so that the same address is found across both."""
    similarity(f"  {FIRST}\u200b", SECOND)

    (line,) = watched.lines()
    hasher = AddressHasher(load_hash_key(watched.folder))
    assert (line["address1_hash"], line["address2_hash"]) == (hasher.hash(FIRST), hasher.hash(SECOND))
    assert line["address1_length"] == 24


def test_no_address_is_in_any_file(watched: Watched) -> None:
    """Although they were arguments, results and the message of an exception."""

    @monitor_performance
    def echo(address: str) -> str:
        if address == SECOND:
            raise ValueError(f"cannot parse {address}", address)
        return address

    echo(FIRST)
    with pytest.raises(ValueError, match="cannot parse"):
        echo(SECOND)
    assert len(watched.lines()) == 2

    files = [path for path in watched.folder.rglob("*") if path.is_file()]
    assert {path.name for path in files} >= {"inference.log", "telemetry.db", "hash.key"}
    texts = [
        form for text in (FIRST[:6], SECOND[:6]) for form in (text.encode(), text.encode("utf-16-le"), json.dumps(text)[1:-1].encode())
    ]
    assert [path.name for path in files if any(text in path.read_bytes() for text in texts)] == []


@pytest.mark.parametrize(
    ("call", "lengths"),
    [
        (lambda: similarity(FIRST, SECOND), (21, 13)),
        (lambda: similarity(addr1=FIRST, addr2=SECOND), (21, 13)),
        (lambda: similarity(addr2=SECOND, addr1=FIRST), (21, 13)),
        (lambda: similarity(FIRST, addr2=SECOND), (21, 13)),
    ],
)
def test_the_first_two_texts_are_taken_by_the_order_of_the_parameters(
    watched: Watched, call: Callable[[], float], lengths: tuple[int, int]
) -> None:
    """However the caller writes them."""
    call()

    (line,) = watched.lines()
    assert (line["address1_length"], line["address2_length"]) == lengths


def test_arguments_that_are_no_text_are_passed_over(watched: Watched) -> None:
    """Numbers, options, texts after the second, and a text alone."""

    @monitor_performance
    def odd(*args: object, **kwargs: object) -> None: ...

    odd(1, "甲", None, "乙丙", "丁", more="戊")
    odd(more="甲乙丙")
    odd(1, 2)

    assert [(line["address1_length"], line["address2_length"]) for line in watched.lines()] == [(1, 2), (3, None), (None, None)]


@pytest.mark.parametrize(
    ("argument", "length", "hashed"),
    [
        ("", 0, False),
        ("   ", 3, False),
        ("\ud800", 1, False),
        ("\x00", 1, False),
        ("甲" * 1_000_000, 1_000_000, True),
        ("甲\x00乙", 3, True),
    ],
)
def test_a_text_the_service_would_refuse_has_a_length_and_no_hash(watched: Watched, argument: str, length: int, hashed: bool) -> None:
    """And does not disturb the call."""
    assert similarity(argument, argument) == 1.0

    (line,) = watched.lines()
    assert (line["address1_length"], line["address1_hash"] is not None, line["status"]) == (length, hashed, "success")


def test_a_text_that_misbehaves_is_counted_and_the_call_goes_on(watched: Watched) -> None:
    """A subclass of str may raise where a str does not."""

    class Bad(str):
        __slots__ = ()

        def __len__(self) -> int:
            """Fail."""
            raise OSError("no length")

    assert similarity(Bad("甲"), "甲") == 1.0
    recording = shared.get()
    assert recording is not None
    assert recording.lost()["recorder", "exception"] == 1

    (line,) = watched.lines()
    assert (line["status"], line["address1_length"]) == ("success", None)


class Unmeasurable:
    def __len__(self) -> int:
        """Fail."""
        raise OSError("no length")


@pytest.mark.parametrize(
    ("result", "length"), [("abc", 3), ([1, 2], 2), ({}, 0), (b"", 0), (None, None), (0.5, None), (Unmeasurable(), None)]
)
def test_the_output_length_is_len_where_there_is_one(watched: Watched, result: object, length: int | None) -> None:
    """And the result is the very object the function returned."""

    @monitor_performance
    def give() -> object:
        return result

    assert give() is result
    (line,) = watched.lines()
    assert line["output_length"] == length


# --- captured text ----------------------------------------------------------------------------------------------------


@pytest.fixture
def capturing(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Watched]:
    """Watch anew with this `capture_text`."""

    def begin(capture_text: str) -> Watched:
        shared.close()
        monkeypatch.setenv("MGEO_CAPTURE_TEXT", capture_text)
        watched.watch_spans()
        return watched

    return begin


@monitor_performance
def strict_similarity(addr1: str, addr2: str) -> float:
    """Fail for two equal addresses, and quote them."""
    if addr1 == addr2:
        raise ValueError(addr1, addr2)
    return 0.5


def answer_and_fail() -> None:
    strict_similarity(FIRST, SECOND)
    with pytest.raises(ValueError, match=SECOND):
        strict_similarity(addr2=SECOND, addr1=SECOND)


@pytest.mark.parametrize(
    ("capture_text", "texts"),
    [("off", [None, None]), ("failed", [None, (SECOND, SECOND)]), ("all", [(FIRST, SECOND), (SECOND, SECOND)])],
)
async def test_the_rows_have_the_text_that_capture_text_asks_for(
    capturing: Callable[[str], Watched], capture_text: str, texts: list[tuple[str, str] | None]
) -> None:
    """Of no call, of those that fail, or of all."""
    watched = capturing(capture_text)
    answer_and_fail()

    assert await watched.texts() == texts


async def test_of_a_text_the_row_has_a_thousand_characters_and_no_half_surrogates(capturing: Callable[[str], Watched]) -> None:
    """As it is for the service; one argument alone leaves the other empty, and none at all leaves nothing."""
    watched = capturing("all")

    @monitor_performance
    def count(*things: object) -> int:
        return len(things)

    count("路" * 1001, "a\ud800")
    count(7, "甲", None)
    count(7)

    assert await watched.texts() == [("路" * 1000, "a\\ud800"), ("甲", ""), None]


def test_captured_text_is_in_the_store_and_nowhere_else(capturing: Callable[[str], Watched]) -> None:
    """Neither on spans nor in the log, the metrics or any other file."""
    watched = capturing("all")
    answer_and_fail()
    recording = shared.get()
    assert recording is not None
    scraped = recording.exposition.render()[0].decode()

    assert len(watched.lines()) == 2
    let_out = scraped + "".join(span.to_json(indent=None) for span in watched.spans.get_finished_spans())
    files = [path for path in watched.folder.rglob("*") if path.is_file()]
    forms = [form for text in (FIRST[:6], SECOND[:6]) for form in (text, json.dumps(text)[1:-1])]
    assert [form for form in forms if form in let_out] == []
    assert {path.name.partition("-")[0] for path in files if any(form.encode() in path.read_bytes() for form in forms)} == {"telemetry.db"}


# --- the function is itself -------------------------------------------------------------------------------------------


def test_the_function_keeps_its_name_its_docs_and_its_signature() -> None:
    """By functools.wraps; it can be unwrapped."""
    assert (similarity.__name__, similarity.__doc__, similarity.__module__) == ("similarity", "How alike two addresses are.", __name__)
    assert str(inspect.signature(similarity)) == "(addr1: 'str', addr2: 'str') -> 'float'"
    assert similarity.__wrapped__("甲", "甲") == 1.0  # type: ignore[attr-defined]


def test_a_coroutine_function_stays_one() -> None:
    """Frameworks ask before they call."""

    @monitor_performance
    async def work() -> None: ...

    assert inspect.iscoroutinefunction(work)
    assert not inspect.iscoroutinefunction(similarity)


def test_the_name_in_telemetry_can_be_given(watched: Watched) -> None:
    """Else it is the qualified name."""

    class Matcher:
        @monitor_performance(name="match")
        def match(self, text: str) -> str:
            return text

        @monitor_performance
        def score(self, text: str) -> str:
            return text

        @classmethod
        @monitor_performance
        def make(cls, text: str) -> Matcher:
            return cls()

        @staticmethod
        @monitor_performance
        def check(text: str) -> str:
            return text

    matcher = Matcher.make("甲")
    assert matcher.match("甲") == matcher.score("甲") == Matcher.check("甲") == "甲"

    prefix = "test_the_name_in_telemetry_can_be_given.<locals>.Matcher"
    lines = watched.lines()
    assert [line["function"] for line in lines] == [f"{prefix}.make", "match", f"{prefix}.score", f"{prefix}.check"]
    assert {line["address1_length"] for line in lines} == {1}


def test_a_partial_and_a_builtin_can_be_watched(watched: Watched) -> None:
    """They have no name, or no signature, of their own."""
    assert monitor_performance(functools.partial(similarity.__wrapped__, "甲"))("甲") == 1.0  # type: ignore[attr-defined]
    assert monitor_performance(max)(1, 2) == 2

    assert [line["function"] for line in watched.lines()] == ["partial", "max"]


def generate() -> Iterator[int]:
    yield 1


async def generate_async() -> Any:
    yield 1


@pytest.mark.parametrize("function", [generate, generate_async, functools.partial(generate)])
def test_a_generator_is_refused_at_decoration(function: Callable[..., Any]) -> None:
    """Its work is done after it returned."""
    with pytest.raises(
        TypeError, match=r"^(generate|generate_async|partial) is a generator; put monitor_performance on the function that consumes it$"
    ):
        monitor_performance(function)


@pytest.mark.parametrize("thing", ["name", classmethod(lambda cls: None)])
def test_what_cannot_be_called_is_refused_at_decoration(thing: Any) -> None:
    """Not when it is first called, in the middle of the night."""
    with pytest.raises(TypeError, match="cannot be called; put monitor_performance directly above the def"):
        monitor_performance(thing)


def test_a_scripts_random_numbers_are_those_without_us(watched: Watched) -> None:
    """A seeded experiment gives the same result with and without the decorator."""

    def draw() -> float:
        return random.random()

    random.seed(0)
    plain = [draw() for _ in range(20)]
    random.seed(0)

    assert [monitor_performance(draw)() for _ in range(20)] == plain


# --- failures ---------------------------------------------------------------------------------------------------------


class CustomError(Exception):
    pass


def test_an_exception_is_the_same_object_with_its_own_traceback(watched: Watched) -> None:
    """Raised from the function's own line, with nothing added but the wrapper's frame, and recorded as a failed function."""
    error = CustomError("x")

    def fail() -> None:
        raise error

    with pytest.raises(CustomError) as caught:
        monitor_performance(fail)()

    assert caught.value is error
    assert (error.__cause__, error.__context__, getattr(error, "__notes__", [])) == (None, None, [])
    frames = [frame.name for frame in traceback.extract_tb(error.__traceback__)]
    assert frames == ["test_an_exception_is_the_same_object_with_its_own_traceback", "call", "fail"]
    (line,) = watched.lines()
    assert (line["status"], line["error_type"], line["level"]) == ("error", "function_failed", "ERROR")
    assert line["error_message"] == "the monitored function raised an exception"
    (span,) = watched.spans.get_finished_spans()
    assert span.attributes["exception.type"] == f"{CustomError.__module__}.CustomError"
    assert span.attributes["exception.stacktrace"].splitlines()[-1] == f"{__file__}:{fail.__code__.co_firstlineno + 1} fail"


@pytest.mark.parametrize("kind", [StopIteration, KeyboardInterrupt, SystemExit, RuntimeError, RecursionError, MemoryError])
def test_every_kind_of_exception_passes_untouched(watched: Watched, kind: type[BaseException]) -> None:
    """Also those that Python treats in ways of their own."""
    error = kind()

    @monitor_performance
    def fail() -> None:
        raise error

    with pytest.raises(kind) as caught:
        fail()

    assert caught.value is error
    (line,) = watched.lines()
    assert (line["status"], line["error_type"]) == ("error", "function_failed")


@pytest.mark.parametrize("kind", [CustomError, StopIteration, RuntimeError, KeyboardInterrupt])
def test_a_failed_call_leaves_no_reference_to_its_exception_and_arguments(watched: Watched, kind: type[BaseException]) -> None:
    """What they hold, a model or a large batch, is freed as without us, before any garbage collection."""
    alive: list[str] = []

    class Large:
        def __init__(self, name: str) -> None:
            self.name = name
            alive.append(name)

        def __del__(self) -> None:
            """Tell."""
            alive.remove(self.name)

    @monitor_performance
    def fail(argument: Large) -> None:
        raise kind(Large("held by the exception"))

    gc.disable()
    try:
        with pytest.raises(kind):
            fail(Large("argument"))
        assert alive == []
    finally:
        gc.enable()


# --- asynchronous -----------------------------------------------------------------------------------------------------


async def test_a_coroutine_is_watched_until_it_ends(watched: Watched) -> None:
    """Not until it is created: the inference is open while it waits."""
    may_end = asyncio.Event()

    @monitor_performance
    async def work(text: str) -> str:
        await may_end.wait()
        return text

    task = asyncio.create_task(work("甲乙"))
    await asyncio.sleep(0)
    recording = shared.get()
    assert recording is not None
    assert recording.recorder.active == 1
    may_end.set()

    assert await task == "甲乙"
    assert recording.recorder.active == 0
    (line,) = watched.lines()
    assert (line["status"], line["address1_length"], line["output_length"]) == ("success", 2, 2)


async def test_a_cancelled_coroutine_is_cancelled_by_its_caller(watched: Watched) -> None:
    """The cancellation passes, and does not count against anybody."""

    @monitor_performance
    async def work() -> None:
        await asyncio.Event().wait()

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert task.cancelled()
    (line,) = watched.lines()
    assert (line["status"], line["error_type"], line["level"]) == ("cancelled", "caller_cancelled", "INFO")


def test_a_coroutine_that_is_closed_is_cancelled_too(watched: Watched) -> None:
    """Whoever drives it by hand may drop it."""

    class Never:
        def __await__(self) -> Iterator[None]:
            """Wait for ever."""
            while True:
                yield

    @monitor_performance
    async def work() -> None:
        await Never()

    coroutine = work()
    coroutine.send(None)
    coroutine.close()

    (line,) = watched.lines()
    assert (line["status"], line["error_type"]) == ("cancelled", "caller_cancelled")


def test_a_coroutine_dropped_in_another_context_is_closed_and_recorded(watched: Watched) -> None:
    """The garbage collector runs where it likes."""

    class Never:
        def __await__(self) -> Iterator[None]:
            """Wait for ever."""
            while True:
                yield

    @monitor_performance
    async def work() -> None:
        await Never()

    coroutine = work()
    contextvars.copy_context().run(coroutine.send, None)
    coroutine.close()

    (line,) = watched.lines()
    assert (line["status"], current_request_id()) == ("cancelled", None)


async def test_an_exception_of_a_coroutine_is_the_same_object(watched: Watched) -> None:
    """As for a function."""
    error = CustomError("x")

    @monitor_performance
    async def fail() -> None:
        raise error

    with pytest.raises(CustomError) as caught:
        await fail()

    assert caught.value is error
    (line,) = watched.lines()
    assert line["error_type"] == "function_failed"


async def test_concurrent_coroutines_are_not_mixed_up(watched: Watched) -> None:
    """A hundred at once: a hundred request ids, and each inner call under its own outer one."""
    barrier = asyncio.Barrier(100)

    @monitor_performance
    async def inner(text: str) -> None:
        await asyncio.sleep(0)

    @monitor_performance
    async def outer(text: str) -> None:
        await barrier.wait()
        await inner(text)

    await asyncio.gather(*(outer("甲" * number) for number in range(1, 101)))

    lines = watched.lines()
    assert len({line["request_id"] for line in lines}) == 100
    by_request: dict[str, set[int]] = {}
    for line in lines:
        by_request.setdefault(line["request_id"], set()).add(line["address1_length"])
    assert sorted(next(iter(lengths)) for lengths in by_request.values() if len(lengths) == 1) == list(range(1, 101))


# --- nesting and ids --------------------------------------------------------------------------------------------------


def test_a_nested_call_is_a_child_under_the_same_request_id(watched: Watched) -> None:
    """In one trace; the next call from outside is a request of its own."""

    @monitor_performance(name="inner")
    def inner(text: str) -> str:
        return text

    @monitor_performance(name="outer")
    def outer(text: str) -> str:
        return inner(text)

    outer("甲")
    outer("甲")

    first_inner, first_outer, second_inner, second_outer = watched.spans.get_finished_spans()
    assert [span.attributes["code.function.name"] for span in watched.spans.get_finished_spans()] == ["inner", "outer"] * 2
    assert (first_inner.parent.span_id, first_outer.parent) == (first_outer.context.span_id, None)
    assert (second_inner.parent.span_id, second_outer.parent) == (second_outer.context.span_id, None)
    ids = [span.attributes["mgeo.request.id"] for span in (first_inner, first_outer, second_inner, second_outer)]
    assert (ids[0] == ids[1], ids[2] == ids[3], ids[1] == ids[2]) == (True, True, False)
    assert first_inner.context.trace_id == first_outer.context.trace_id != second_outer.context.trace_id


def test_a_request_id_in_the_context_is_taken(watched: Watched) -> None:
    """And decides the trace; afterwards it is as it was."""
    with bind_request_id("req-1"):
        similarity(FIRST, SECOND)
        assert current_request_id() == "req-1"

    (line,) = watched.lines()
    assert (line["request_id"], line["trace_id"]) == ("req-1", "77a85bff5dd350f1d6d66f116fe042a9")
    assert current_request_id() is None


@pytest.mark.parametrize("bound", ["", "浙江", "\ud800", "x" * 129])
def test_an_id_in_the_context_that_is_none_is_replaced(watched: Watched, bound: str) -> None:
    """The call does not fail for it."""
    with bind_request_id(bound):
        assert similarity(FIRST, SECOND) == 0.5

    (line,) = watched.lines()
    assert len(line["request_id"]) == 36


def test_inside_the_call_the_request_id_is_known(watched: Watched) -> None:
    """A script can print it, or send it on."""
    seen: list[str | None] = []
    monitor_performance(lambda: seen.append(current_request_id()))()

    (line,) = watched.lines()
    assert seen == [line["request_id"]]


# --- opening and closing ----------------------------------------------------------------------------------------------


def test_the_package_offers_the_decorator_lazily() -> None:
    """`from service import monitor_performance`, and importing the package alone loads nothing."""
    assert service.monitor_performance is monitor_performance
    with pytest.raises(AttributeError, match="module 'service' has no attribute 'nothing'"):
        service.nothing  # noqa: B018  # type: ignore[attr-defined]


def test_after_a_close_the_next_call_opens_anew(watched: Watched) -> None:
    """In the same slot, and the lines go on in the same file."""
    similarity(FIRST, SECOND)
    shared.close()
    shared.close()
    similarity(FIRST, SECOND)

    assert len(watched.lines()) == 2
    assert [path.name for path in (watched.folder / "logs").glob("*.log")] == ["inference.log"]
    assert len({line["instance"] for line in watched.lines()}) == 1


def test_many_threads_at_the_first_call_open_one_recording(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sixteen at the same instant: one slot, one file, sixteen lines and rows."""
    monkeypatch.setenv("MGEO_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("MGEO_GPU", "off")
    shared.close()
    together = threading.Barrier(16)

    def work() -> None:
        together.wait(30)
        similarity(FIRST, SECOND)

    threads = [threading.Thread(target=work) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    watched = Watched(tmp_path / "data")
    assert (len(watched.lines()), watched.rows()) == (16, 16)
    assert [path.name for path in (tmp_path / "data/locks").iterdir()] == ["script.0.lock"]


@pytest.fixture
def broken_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A data folder that cannot be made: its parent is a file."""
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MGEO_DATA_DIR", str(tmp_path / "file/data"))
    monkeypatch.setenv("MGEO_GPU", "off")
    shared.close()
    yield
    shared.close()


@pytest.mark.usefixtures("broken_start")
def test_a_start_that_fails_is_one_warning_and_plain_calls() -> None:
    """It says why, where the script called; the function runs a thousand times without another word."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        results = {similarity(FIRST, SECOND) for _ in range(1000)}

    assert results == {0.5}
    (warning,) = caught
    assert warning.category is RuntimeWarning
    assert str(warning.message).startswith("monitor_performance records nothing: MGEO_DATA_DIR: the data folder ")
    assert warning.filename == __file__


@pytest.mark.usefixtures("broken_start")
def test_without_a_recording_exceptions_pass_all_the_same() -> None:
    """The plain call is the plain call."""

    @monitor_performance
    def fail() -> None:
        raise CustomError

    with pytest.warns(RuntimeWarning, match="records nothing"), pytest.raises(CustomError):
        fail()


@pytest.mark.parametrize(
    ("variable", "value", "reason"),
    [
        ("MGEO_PORT", "x", "the settings are wrong:"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "soon", "the OpenTelemetry SDK cannot be set up"),
    ],
)
def test_wrong_variables_do_not_stop_a_script(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, reason: str
) -> None:
    """Ours or OpenTelemetry's; and what was opened before is closed again."""
    monkeypatch.setenv("MGEO_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("MGEO_GPU", "off")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv(variable, value)
    shared.close()
    before = set(threading.enumerate())

    with pytest.warns(RuntimeWarning, match=f"^monitor_performance records nothing: {reason}"):
        assert similarity(FIRST, SECOND) == 0.5

    assert set(threading.enumerate()) <= before
    shared.close()


def test_even_a_start_that_breaks_in_an_unknown_way_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault of ours is not one of the script's."""

    def explode(*_: object, **__: object) -> None:
        raise ZeroDivisionError("ours")

    monkeypatch.setenv("MGEO_DATA_DIR", str(tmp_path))
    monkeypatch.setattr("service.recording.Recording.open", explode)
    shared.close()

    with pytest.warns(RuntimeWarning, match=r"^monitor_performance records nothing: ZeroDivisionError\('ours'\)$"):
        assert similarity(FIRST, SECOND) == 0.5
    shared.close()


# --- processes --------------------------------------------------------------------------------------------------------


def test_a_forked_child_has_a_recording_of_its_own(watched: Watched) -> None:
    """Slot, file and id: the parent's go on undisturbed, and nothing is written twice."""
    similarity(FIRST, SECOND)
    child = os.fork()
    if child == 0:
        try:
            similarity(FIRST, SECOND)
            shared.close()
        finally:
            os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    similarity(FIRST, SECOND)

    lines = watched.lines()
    assert watched.rows() == len(lines) == 3
    parents, childs = lines[0], lines[1]
    assert lines[2]["instance"] == parents["instance"] != childs["instance"]
    assert len({(line["trace_id"], line["span_id"]) for line in lines}) == 3


def in_worker(number: int) -> int:
    similarity(FIRST, SECOND)
    return number


def test_workers_of_multiprocessing_write_all_they_have(watched: Watched) -> None:
    """They end without atexit; their last lines and rows are there all the same."""
    similarity(FIRST, SECOND)
    processes = [multiprocessing.get_context("fork").Process(target=in_worker, args=(number,)) for number in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(30)

    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert len(watched.lines()) == watched.rows() == 4


SCRIPT = """
from service import monitor_performance

@monitor_performance
def infer_similarity(addr1: str, addr2: str) -> float:
    return 0.87

print(infer_similarity("浙江省杭州市余杭区文一西路969号", "杭州市余杭区文一西路969号"))
"""


def run_script(folder: Path, source: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", source],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "MGEO_GPU": "off", **environ},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.slow
def test_five_lines_in_a_script_leave_exactly_one_line_and_one_row(tmp_path: Path) -> None:
    """The README's example: nothing is opened or closed by hand, and what it prints is its own."""
    done = run_script(tmp_path, SCRIPT)

    assert (done.returncode, done.stdout, done.stderr) == (0, "0.87\n", "")
    (line,) = (tmp_path / "var/logs/inference.log").read_text().splitlines()
    assert json.loads(line)["function"] == "infer_similarity"
    connection = sqlite3.connect(tmp_path / "var/telemetry.db")
    assert connection.execute("SELECT count(*) FROM inference").fetchone() == (1,)
    connection.close()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("source", "code"),
    [
        (SCRIPT + "import sys; sys.exit(3)", 3),
        (SCRIPT + "raise SystemError('script')", 1),
        (SCRIPT + "import threading; threading.Thread(target=infer_similarity, args=('a', 'b')).start()", 0),
    ],
)
def test_however_a_script_ends_its_calls_are_written(tmp_path: Path, source: str, code: int) -> None:
    """By exit, by an exception, by a last thread."""
    done = run_script(tmp_path, source)

    assert done.returncode == code
    assert len((tmp_path / "var/logs/inference.log").read_text().splitlines()) == done.stdout.count("0.87") + ("Thread" in source)


@pytest.mark.slow
def test_a_dead_otlp_endpoint_delays_the_end_of_a_script_by_no_more_than_its_bound(tmp_path: Path) -> None:
    """The line and the row are there; the script's result and exit code are its own."""
    done = run_script(tmp_path, SCRIPT, OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9")

    assert (done.returncode, done.stdout) == (0, "0.87\n")
    assert len((tmp_path / "var/logs/inference.log").read_text().splitlines()) == 1


@pytest.mark.slow
def test_importing_and_decorating_opens_nothing(tmp_path: Path) -> None:
    """No folder, no thread, no SDK, no model library before the first call."""
    source = """
import sys, threading
from service import monitor_performance
monitor_performance(lambda: 0)
print(threading.active_count(), sorted({"opentelemetry.sdk", "torch", "fastapi", "pynvml", "sqlite3", "grpc"} & set(sys.modules)))
"""
    done = run_script(tmp_path, source)

    assert (done.returncode, done.stdout, done.stderr) == (0, "1 []\n", "")
    assert list(tmp_path.iterdir()) == []


DYING = """
import os, signal, threading
from service import monitor_performance

begun = threading.Barrier(3)

@monitor_performance
def inner(address1, address2):
    begun.wait()
    threading.Event().wait()

@monitor_performance
def outer(address1, address2):
    inner(address1, address2)

threading.Thread(target=outer, args=("a", "b"), daemon=True).start()
threading.Thread(target=inner, args=("a", "b"), daemon=True).start()
begun.wait()
if os.fork() == 0:
    os._exit(0)
os.wait()
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.slow
def test_what_a_script_had_open_when_it_was_killed_is_closed_by_the_next_one(tmp_path: Path) -> None:
    """The calls of all its threads, nested ones under their parent; a child it had forked changes nothing."""
    assert run_script(tmp_path, DYING).returncode == -9
    assert run_script(tmp_path, SCRIPT).returncode == 0

    lines = [json.loads(line) for line in (tmp_path / "var/logs/inference.log").read_text().splitlines()]
    assert sorted((line["function"], line["error_type"]) for line in lines if line["error_type"]) == [
        ("inner", "process_died"),
        ("inner", "process_died"),
        ("outer", "process_died"),
    ]
    connection = sqlite3.connect(tmp_path / "var/telemetry.db")
    rows = connection.execute("SELECT span, parent FROM inference WHERE error_type IS NOT NULL").fetchall()
    connection.close()
    assert {span.hex() for span, _ in rows} == {line["span_id"] for line in lines if line["error_type"]}
    assert [parent for _, parent in rows if parent is not None] == [
        bytes.fromhex(line["span_id"]) for line in lines if line["function"] == "outer"
    ]
    assert list((tmp_path / "var/open").iterdir()) == []
