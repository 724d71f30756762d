"""The thread that runs the model, and what becomes of it: restarted when it dies, replaced when it is stuck, given up beyond that.

A Python thread cannot be killed. One that is stuck is abandoned: its batch ends, whatever it returns later is dropped,
and it ends by itself then, if ever. Until it does, its replacement may be in the model at the same time; that is why a
second one within ten minutes ends the process, which a supervisor starts anew.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Generic, Literal

from service.errors import ErrorType, ModelError, ModelPoisoned
from service.ticket import ItemT, OutputT

if TYPE_CHECKING:
    from collections.abc import Callable

    from service.batch import Batch
    from service.batching import MicroBatcher

EXIT_WORKER_STUCK = 70
"""Exit code: a second worker was stuck within `STUCK_MEMORY` seconds."""

EXIT_DEVICE_FAILED = 71
"""Exit code: the device is beyond repair for this process."""

EXIT_WORKER_DYING = 72
"""Exit code: workers died faster than restarting them makes sense."""

EXIT_WARMUP_FAILED = 74
"""Exit code: the model raised in its warm-up."""

STUCK_MEMORY = 600.0
"""Seconds for which a stuck worker is remembered; one is replaced, the second ends the process."""

DEATH_MEMORY = 60.0
"""Seconds for which a death is remembered."""

MAX_DEATHS = 5
"""Deaths within `DEATH_MEMORY` after which a worker is still restarted; without a bound one that dies at once would spin."""


class ModelWorker(Generic[ItemT, OutputT]):
    """Runs the batches of a queue on a thread of its own, and watches that thread from another.

    All callbacks come from these threads, never under a lock.

    Args:
        batcher: the queue to serve.
        prepare: called once on the worker's thread before its first batch; warms the model up.
        stuck_after: seconds after which a running batch is taken for stuck.
        on_restart: told why a worker was replaced.
        on_fatal: told once why the process must end, with its exit code. Every open ticket has ended or is about to.
        clock: monotonic seconds, the same as the queue's.
        spawn: starts a daemon thread under a name.

    Attributes:
        deaths: workers that died.
        stuck: workers that were abandoned.
        late: abandoned workers that came back.
    """

    def __init__(
        self,
        batcher: MicroBatcher[ItemT, OutputT],
        *,
        prepare: Callable[[], None],
        stuck_after: float,
        on_restart: Callable[[Literal["died", "stuck"]], None],
        on_fatal: Callable[[str, int], None],
        clock: Callable[[], float] = time.monotonic,
        spawn: Callable[[Callable[[], None], str], threading.Thread] | None = None,
    ) -> None:
        self._batcher = batcher
        self._prepare = prepare
        self._stuck_after = stuck_after
        self._on_restart = on_restart
        self._on_fatal = on_fatal
        self._clock = clock
        self._spawn = spawn or _spawn
        self._lock = threading.Lock()
        self._stuck_at: deque[float] = deque(maxlen=1)
        self._died_at: deque[float] = deque(maxlen=MAX_DEATHS)
        self._fatal_reason = ""
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self._watchdog: threading.Thread | None = None
        self.deaths = 0
        self.stuck = 0
        self.late = 0

    @property
    def fatal_reason(self) -> str:
        """Why no batch will ever run again; empty while one may."""
        return self._fatal_reason

    def start(self) -> None:
        """Start both threads; the first warms the model up and then serves."""
        self._watchdog = self._spawn(self._watch, "mgeo-watchdog")
        self._thread = self._spawn(self._first, "mgeo-worker")

    def stop(self, timeout: float) -> bool:
        """End both threads once the queue is closed; False when the worker has not come back within `timeout` seconds."""
        self._ended.set()
        for thread in (self._watchdog, self._thread):
            if thread is not None:
                thread.join(timeout)
        return self._thread is None or not self._thread.is_alive()

    # On the worker's thread.

    def _first(self) -> None:
        try:
            self._prepare()
        except ModelPoisoned:
            self._give_up("the device failed in the model's warm-up", EXIT_DEVICE_FAILED, ErrorType.DEVICE_FAILED)
        except BaseException as error:  # noqa: BLE001 -- the thread's end must be known, whatever ends it
            self._give_up(f"the model failed its warm-up ({type(error).__qualname__})", EXIT_WARMUP_FAILED, ErrorType.MODEL_FAILED)
        else:
            self._serve()

    def _serve(self) -> None:
        try:
            while (batch := self._batcher.take()) is not None:
                if not self._batcher.run(batch):
                    self.late += 1
                    return
        except ModelPoisoned:
            self._give_up("the device failed and cannot be used by this process again", EXIT_DEVICE_FAILED, ErrorType.DEVICE_FAILED)
        except BaseException as error:  # noqa: BLE001 -- the same
            self._died(type(error).__qualname__)

    def _died(self, cause: str) -> None:
        left = self._batcher.running
        if left is not None:
            self._batcher.give_up(left, ModelError(ErrorType.WORKER_DIED))
        now = self._clock()
        self.deaths += 1
        if len(self._died_at) == MAX_DEATHS and now - self._died_at[0] <= DEATH_MEMORY:
            self._give_up(
                f"the model worker died {MAX_DEATHS + 1} times within {DEATH_MEMORY:.0f} s, last of {cause}",
                EXIT_WORKER_DYING,
                ErrorType.WORKER_DIED,
            )
            return
        self._died_at.append(now)
        self._replace("died")

    # On the watchdog's thread.

    def _watch(self) -> None:
        while not self._ended.wait(self._time_to_look()):
            batch = self._batcher.running
            if batch is not None and self._clock() - batch.dispatch.dispatched_at >= self._stuck_after:
                self._abandon(batch)

    def _time_to_look(self) -> float:
        # No batch that begins later than now can be stuck before then, so the watchdog need not hear of each.
        batch, now = self._batcher.running, self._clock()
        began = now if batch is None else batch.dispatch.dispatched_at
        return max(began + self._stuck_after - now, 0.0)

    def _abandon(self, batch: Batch[ItemT, OutputT]) -> None:
        if not self._batcher.give_up(batch, ModelError(ErrorType.WORKER_STUCK)):
            return
        now = self._clock()
        self.stuck += 1
        again = bool(self._stuck_at) and now - self._stuck_at[0] <= STUCK_MEMORY
        self._stuck_at.append(now)
        if again:
            self._give_up(
                f"the model worker was stuck twice within {STUCK_MEMORY:.0f} s (a batch ran over {self._stuck_after:g} s)",
                EXIT_WORKER_STUCK,
                ErrorType.WORKER_STUCK,
            )
        else:
            self._replace("stuck")

    # On either.

    def _replace(self, reason: Literal["died", "stuck"]) -> None:
        try:
            self._thread = self._spawn(self._serve, "mgeo-worker")
        except RuntimeError:  # what Python raises when the system gives it no thread
            self._give_up(f"a model worker {_PAST[reason]} and no thread could take its place", EXIT_WORKER_DYING, _ENDED_AS[reason])
            return
        self._on_restart(reason)

    def _give_up(self, reason: str, exit_code: int, error_type: ErrorType) -> None:
        with self._lock:
            if self._fatal_reason:
                return
            self._fatal_reason = reason
        self._ended.set()
        self._batcher.shut(ModelError(error_type))
        self._on_fatal(reason, exit_code)


_PAST = {"died": "died", "stuck": "was stuck"}
_ENDED_AS = {"died": ErrorType.WORKER_DIED, "stuck": ErrorType.WORKER_STUCK}


def _spawn(target: Callable[[], None], name: str) -> threading.Thread:
    # Daemon: a worker that is stuck in native code must not keep the process from ending.
    thread = threading.Thread(target=target, name=name, daemon=True)
    thread.start()
    return thread
