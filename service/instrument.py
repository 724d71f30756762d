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
import sys
import threading
import warnings
from collections.abc import Sized
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, overload

from service.errors import ErrorType, InvalidInput, StartupError
from service.preprocessing import clean
from service.telemetry.context import bind_request_id, current_request_id
from service.telemetry.event import AddressFacts, CapturedText, EventDraft
from service.telemetry.ids import is_inference_id, new_request_id

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from service.recording import Recording

P = ParamSpec("P")
R = TypeVar("R")

CLOSE_TIMEOUT = 5.0
# From the warning: _open, get, _inference, contextlib's __enter__, the wrapper, and then who called it.
_STACK_TO_CALLER = 6


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
                self._open()
        return self._recording

    def _open(self) -> None:
        if self._recording is not None or self._failed:
            return  # by another thread, while this one waited for the lock
        try:
            from service.recording import Recording
            from service.settings import Settings

            self._recording = Recording.open(Settings.load(), command="script")
        except Exception as error:  # noqa: BLE001 -- whatever it is, it is not what the script was started for
            self._failed = True
            reason = str(error) if isinstance(error, StartupError) else repr(error)
            warnings.warn(f"monitor_performance records nothing: {reason}", RuntimeWarning, stacklevel=_STACK_TO_CALLER)
        else:
            self._close_at_exit()

    def _close_at_exit(self) -> None:
        atexit.register(self.close)
        # A worker of multiprocessing ends without atexit; whoever is one has loaded this module.
        util = sys.modules.get("multiprocessing.util")
        if util is not None:
            util.Finalize(None, self.close, exitpriority=0)

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

    The lengths and keyed hashes of its first two text arguments are recorded; the text only where `capture_text` asks for it,
    and in the embedded store alone. `output_length` is `len()` of the result where it has one.
    A nested decorated call becomes a child span under the same request id.

    Raises:
        TypeError: at decoration, for what cannot be called, and for a generator function: what it does happens after it
            returned.
    """
    if function is None:
        return functools.partial(_wrap, name=name)
    return _wrap(function, name=name)


def _wrap(function: Callable[P, R], *, name: str | None) -> Callable[P, R]:
    # A partial or another callable object has no name of its own.
    shown = name or str(getattr(function, "__qualname__", type(function).__qualname__))
    if not callable(function):
        message = f"{shown} cannot be called; put monitor_performance directly above the def, and write monitor_performance(name=...)"
        raise TypeError(message)
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        message = f"{shown} is a generator; put monitor_performance on the function that consumes it"
        raise TypeError(message)
    order = _parameters(function)
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def call_async(*args: P.args, **kwargs: P.kwargs) -> Any:
            with _inference(shown, order, args, kwargs) as finish:
                result = await function(*args, **kwargs)
                finish(result)
                return result

        return call_async  # type: ignore[return-value] # R is the coroutine that call_async makes

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        with _inference(shown, order, args, kwargs) as finish:
            result = function(*args, **kwargs)
            finish(result)
            return result

    return call


def _parameters(function: Callable[..., object]) -> tuple[str, ...]:
    try:
        return tuple(inspect.signature(function).parameters)
    except ValueError:  # some functions of extension modules have none
        return ()


@contextmanager
def _inference(
    name: str, order: tuple[str, ...], args: tuple[object, ...], kwargs: dict[str, object]
) -> Iterator[Callable[[object], None]]:
    recording = shared.get()
    if recording is None:
        yield lambda _result: None
        return
    bound = current_request_id()
    request_id = bound if bound is not None and is_inference_id(bound) else new_request_id()
    draft = EventDraft.open(request_id=request_id, function=name, clock=recording.clock)
    # By the order of the parameters, however the caller wrote them.
    named = sorted(kwargs, key=lambda key: order.index(key) if key in order else len(order))
    _describe(draft, recording, [value for value in (*args, *(kwargs[key] for key in named)) if isinstance(value, str)][:2])

    def finish(result: object) -> None:
        draft.output_length = _length(result)

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
            cancelled = isinstance(failure, asyncio.CancelledError | GeneratorExit)
            reason = ErrorType.CALLER_CANCELLED if cancelled else ErrorType.FUNCTION_FAILED
            recording.recorder.record(draft.close(failure, error_type=reason if failure is not None else None))
            # A traceback that kept this frame would make a cycle with it, and the arguments would wait for the garbage collector.
            failure = None


def _length(result: object) -> int | None:
    if not isinstance(result, Sized):
        return None
    try:
        return len(result)
    except Exception:  # noqa: BLE001 -- a result with a faulty __len__ is still the caller's result
        return None


def _describe(draft: EventDraft, recording: Recording, texts: list[str]) -> None:
    try:
        facts = [AddressFacts(length=len(text), hash=_hash(text, recording)) for text in texts]
        captured = CapturedText.of(*texts) if recording.settings.capture_text != "off" else None
    except Exception:  # noqa: BLE001 -- a subclass of str may do anything; the call goes on
        recording.losses["recorder", "exception"] += 1
        return
    draft.address1 = facts[0] if facts else None
    draft.address2 = facts[1] if len(facts) == 2 else None
    draft.text = captured


def _hash(text: str, recording: Recording) -> str | None:
    try:
        cleaned = clean(text, field="address", max_length=recording.settings.max_address_length, strict=False)
    except InvalidInput:
        return None
    return recording.hasher.hash(cleaned.text)
