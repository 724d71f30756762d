"""`monitor_performance`: the same event, span, metrics, log line and row for any function, without a server.

::

    from service import monitor_performance

    @monitor_performance
    def infer_similarity(addr1: str, addr2: str) -> float: ...

The wrapped function keeps its name, its result and its exceptions. The first call opens the log, the store and the
SDK by the same settings as the service (`MGEO_*`, `OTEL_*`); they stay open until the interpreter ends. If they cannot be
opened, one warning says why and the function runs without them: telemetry never stands in its way.
"""

from __future__ import annotations

import asyncio
import atexit
import functools
import inspect
import os
import threading
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, overload

from service.errors import ErrorType, InvalidInput, StartupError
from service.preprocessing import clean
from service.telemetry.context import bind_request_id, current_request_id
from service.telemetry.event import AddressFacts, EventDraft
from service.telemetry.ids import new_request_id

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from service.recording import Recording

P = ParamSpec("P")
R = TypeVar("R")

CLOSE_TIMEOUT = 5.0


class _SharedRecording:
    """The one lazy global of the package: the recording all decorated functions of a process share."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._recording: Recording | None = None
        self._failed = False
        self._left_behind: list[Recording] = []

    def get(self) -> Recording | None:
        """Open it at the first call; None when it could not be opened, which is said once."""
        if self._recording is None and not self._failed:
            with self._lock:
                if self._recording is None and not self._failed:
                    self._open()
        return self._recording

    def _open(self) -> None:
        from service.recording import Recording
        from service.settings import Settings

        try:
            self._recording = Recording.open(Settings.load(), command="script")
        except StartupError as error:
            self._failed = True
            warnings.warn(f"monitor_performance records nothing: {error}", RuntimeWarning, stacklevel=4)
        else:
            atexit.register(self.close)

    def close(self) -> None:
        """Flush and close, within a bound; the next decorated call opens anew."""
        with self._lock:
            recording, self._recording, self._failed = self._recording, None, False
        if recording is not None:
            atexit.unregister(self.close)
            recording.close(CLOSE_TIMEOUT)

    def forget_after_fork(self) -> None:
        """In a forked child: the parent's threads are not here, so begin anew; what was the parent's is kept untouched."""
        self._lock = threading.Lock()
        if self._recording is not None:
            self._left_behind.append(self._recording)
            self._recording = None


shared = _SharedRecording()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=shared.forget_after_fork)


@overload
def monitor_performance(function: Callable[P, R], /) -> Callable[P, R]: ...
@overload
def monitor_performance(*, name: str | None = None) -> Callable[[Callable[P, R]], Callable[P, R]]: ...


def monitor_performance(function: Callable[P, R] | None = None, /, *, name: str | None = None) -> Any:
    """Record every call of a function or coroutine function as an inference.

    Args:
        function: what to wrap, when used without parentheses.
        name: the name it has in telemetry; its qualified name without it.

    The lengths and keyed hashes of its first two text arguments are recorded, never the text; `output_length` is `len()` of
    the result where it has one. A nested decorated call becomes a child span under the same request id.

    Raises:
        TypeError: at decoration, for a generator function: what it does happens after it returned.
    """
    if function is None:
        return functools.partial(_wrap, name=name)
    return _wrap(function, name=name)


def _wrap(function: Callable[P, R], *, name: str | None) -> Callable[P, R]:
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        message = f"{function.__qualname__} is a generator; put monitor_performance on the function that consumes it"
        raise TypeError(message)
    shown = name or function.__qualname__
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def call_async(*args: P.args, **kwargs: P.kwargs) -> Any:
            with _inference(shown, args, kwargs) as finish:
                return finish(await function(*args, **kwargs))

        return call_async  # type: ignore[return-value] -- R is the coroutine that call_async makes

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        with _inference(shown, args, kwargs) as finish:
            return finish(function(*args, **kwargs))

    return call


@contextmanager
def _inference(name: str, args: tuple[object, ...], kwargs: dict[str, object]) -> Iterator[Callable[[Any], Any]]:
    recording = shared.get()
    if recording is None:
        yield lambda result: result
        return
    request_id = current_request_id() or new_request_id()
    draft = EventDraft.open(request_id=request_id, function=name, clock=recording.clock)
    _describe(draft, recording, [value for value in (*args, *kwargs.values()) if isinstance(value, str)][:2])

    def finish(result: Any) -> Any:
        draft.output_length = _length(result)
        return result

    failure: BaseException | None = None
    with bind_request_id(request_id):
        recording.recorder.open(draft)
        try:
            with recording.recorder.running(draft):
                yield finish
        except BaseException as error:
            failure = error
            raise
        finally:
            draft.gpu = recording.gpu_facts(draft.started_unix_ns)
            cancelled = isinstance(failure, asyncio.CancelledError)
            reason = ErrorType.CALLER_CANCELLED if cancelled else ErrorType.FUNCTION_FAILED
            recording.recorder.record(draft.close(failure, error_type=reason if failure is not None else None))


def _length(result: object) -> int | None:
    try:
        return len(result)  # type: ignore[arg-type] -- whatever the function returned
    except Exception:  # noqa: BLE001 -- a result with a faulty __len__ is still the caller's result
        return None


def _describe(draft: EventDraft, recording: Recording, texts: list[str]) -> None:
    facts = [AddressFacts(length=len(text), hash=_hash(text, recording)) for text in texts]
    draft.address1 = facts[0] if facts else None
    draft.address2 = facts[1] if len(facts) == 2 else None


def _hash(text: str, recording: Recording) -> str | None:
    try:
        cleaned = clean(text, field="address", max_length=recording.settings.max_address_length, strict=False)
    except InvalidInput:
        return None
    return recording.hasher.hash(cleaned.text)
