"""One inference from a caller's call to its closed event: clean, queue, model, answer.

Every call of `infer` and `refuse` opens one event, closes it once and records it once, whatever happens in between.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Literal, Protocol

from service.call import Call
from service.engine import Engine
from service.errors import ClientDisconnected, ErrorType, InferenceRefused, ModelError, Overloaded
from service.model.base import AddressPair
from service.open_events import OpenEvents
from service.preprocessing import clean
from service.scoring import Queued, Scored
from service.telemetry.event import AddressFacts, Answer, BatchMember, Clock, Stage
from service.telemetry.ids import new_request_id

if TYPE_CHECKING:
    from collections.abc import Callable

    from service.breaker import BreakerState
    from service.model.base import Model
    from service.settings import InferenceSettings
    from service.telemetry.event import EventDraft, GpuFacts, InferenceEvent
    from service.telemetry.recorder import Recorder
    from service.ticket import Answered, Ticket

__all__ = ["Call", "HashesText", "InferencePipeline"]

LAST_EVENTS = 1.0
"""Seconds `stop` gives callers that were just ended to close their events, and the worker's thread to come back."""


class HashesText(Protocol):
    """Turns a cleaned address into its keyed hash."""

    def hash(self, cleaned_text: str, /) -> str:
        """The hash as hex digits. Never raises."""
        ...


class InferencePipeline:
    """Answers calls by a model, through one queue and one worker. Belongs to one event loop.

    Args:
        model: answers; used by the worker's thread alone.
        recorder: is given every event and every run.
        settings: deadline, lengths, queue, batches, worker and breaker.
        hasher: hashes cleaned addresses.
        on_fatal: told once, on any thread, why the process must end, and with which exit code.
        clock: both clocks.
        gpu_facts: the GPU samples nearest to a moment of the wall clock.
        capture: whether events carry the addresses' text.
        new_batch_id: makes batch ids.
        on_restart: told, on any thread, that a worker was replaced, and why.
        on_breaker: told, on any thread, that the breaker has opened (again), or closed.
    """

    def __init__(
        self,
        model: Model,
        recorder: Recorder,
        *,
        settings: InferenceSettings,
        hasher: HashesText,
        on_fatal: Callable[[str, int], None],
        clock: Clock | None = None,
        gpu_facts: Callable[[int], tuple[GpuFacts, ...]] = lambda _: (),
        capture: bool = False,
        new_batch_id: Callable[[], str] = new_request_id,
        on_restart: Callable[[Literal["died", "stuck"]], None] = lambda _: None,
        on_breaker: Callable[[BreakerState], None] = lambda _: None,
    ) -> None:
        clock = clock or Clock()
        self._model = model
        self._settings = settings
        self._hasher = hasher
        self._now = clock.monotonic
        self._events = OpenEvents(recorder, clock=clock, gpu_facts=gpu_facts, capture=capture)
        self._engine = Engine(
            model,
            recorder,
            settings=settings,
            clock=clock,
            new_batch_id=new_batch_id,
            on_fatal=on_fatal,
            on_restart=on_restart,
            on_breaker=on_breaker,
        )

    @property
    def ready(self) -> bool:
        """Whether the model is warm and its worker serves."""
        return not self._engine.reason

    @property
    def reason(self) -> str:
        """Why it is not ready; empty when it is."""
        return self._engine.reason

    @property
    def depth(self) -> int:
        """Inferences that are waiting."""
        return self._engine.depth

    @property
    def active(self) -> int:
        """Inferences that are open."""
        return len(self._events)

    @property
    def breaker_state(self) -> BreakerState:
        """State of the circuit breaker."""
        return self._engine.breaker_state

    async def start(self) -> None:
        """Start the worker, and wait until the model is warm. Calls before that end as not ready.

        Raises:
            StartupError: the model failed its warm-up; `exit_code` is the one `on_fatal` was given before.
        """
        await self._engine.start()

    def stop_accepting(self) -> None:
        """Refuse every new call as shutting down; what is in flight goes on. From now on a cancelled call is our doing."""
        self._engine.drain()

    async def stop(self, grace: float) -> None:
        """Give what is in flight `grace` seconds, end the rest as shutting down, and end the worker. All events are closed then."""
        await self._engine.close(grace)
        await self._events.wait_until_none(LAST_EVENTS)
        await self._engine.join(LAST_EVENTS)

    async def infer(self, call: Call, address1: object, address2: object) -> InferenceEvent:
        """Answer one call. Its event is recorded exactly once, before this returns or raises.

        Args:
            call: when and how it arrived.
            address1: what stood in the body, of whatever type.
            address2: the same.

        Raises:
            InferenceRefused: there is no answer; `error_type` says why.
        """
        draft = self._events.open(call)
        failure: BaseException | None = None
        try:
            await self._answer(draft, call, self._clean(draft, address1, address2))
        except (asyncio.CancelledError, GeneratorExit):
            failure = self._gone()
            raise
        except InferenceRefused as error:
            failure = error
            raise
        except Exception as error:
            failure = error
            raise InferenceRefused(ErrorType.INTERNAL) from error
        except BaseException as error:
            failure = error
            raise
        finally:
            event = self._events.close(draft, failure)
            failure = None  # Else the exception and this frame would hold each other.
        return event

    def refuse(self, call: Call, failure: BaseException | ErrorType) -> InferenceEvent:
        """Record a call that ended before its addresses were known: a bad body, a client that left, a batch refused whole."""
        draft = self._events.open(call)
        if isinstance(failure, ErrorType):
            return self._events.close(draft, None, error_type=failure)
        return self._events.close(draft, self._gone() if isinstance(failure, asyncio.CancelledError) else failure)

    def _clean(self, draft: EventDraft, address1: object, address2: object) -> AddressPair:
        started = self._now()
        settings, digest = self._settings, self._hasher.hash
        max_length, strict = settings.max_address_length, settings.strict_length
        self._events.capture(draft, address1, address2)
        try:
            first = clean(address1, field="address1", max_length=max_length, strict=strict)
            draft.address1 = AddressFacts(length=first.length, hash=digest(first.text))
            second = clean(address2, field="address2", max_length=max_length, strict=strict)
            draft.address2 = AddressFacts(length=second.length, hash=digest(second.text))
        finally:
            if draft.address1 is None and isinstance(address1, str):
                draft.address1 = AddressFacts(length=len(address1))
            if draft.address2 is None and isinstance(address2, str):
                draft.address2 = AddressFacts(length=len(address2))
            draft.spent(Stage.CLEAN, started, self._now())
        draft.truncated = first.truncated or second.truncated
        return AddressPair(address1=first.text, address2=second.text)

    async def _answer(self, draft: EventDraft, call: Call, pair: AddressPair) -> None:
        deadline = self._settings.deadline if call.timeout is None else min(self._settings.deadline, call.timeout)
        member = BatchMember(request_id=draft.request_id, trace_id=draft.trace_id, span_id=draft.span_id)
        draft.queue_depth = self._engine.depth
        ticket = self._engine.submit(Queued(pair=pair, member=member), deadline=call.arrived_monotonic + deadline)
        try:
            answered = await ticket.answer()
        finally:
            self._engine.ended(ticket)
            self._note_queue(draft, ticket)
        self._note_answer(draft, answered)

    def _note_queue(self, draft: EventDraft, ticket: Ticket[Queued, Scored]) -> None:
        dispatch = ticket.dispatch
        if dispatch is None:
            draft.spent(Stage.QUEUE, ticket.enqueued_at, self._now())
            return
        draft.spent(Stage.QUEUE, ticket.enqueued_at, dispatch.dispatched_at)
        draft.batch_id, draft.batch_size = dispatch.batch_id, dispatch.batch_size
        info = self._model.info
        draft.model_name, draft.model_version = info.name, info.version

    def _note_answer(self, draft: EventDraft, answered: Answered[Scored]) -> None:
        output = answered.output
        tokenized = answered.dispatched_at + output.tokenize_duration
        draft.spent(Stage.TOKENIZE, answered.dispatched_at, tokenized)
        draft.spent(Stage.INFERENCE, tokenized, tokenized + output.forward_duration)
        draft.spent(Stage.DELIVER, answered.completed_at, self._now())
        draft.truncated = draft.truncated or output.truncated
        scores = output.scores
        if scores is None:
            raise ModelError(ErrorType.INVALID_OUTPUT)
        label = scores.label.value
        draft.answer = Answer(
            label=label,
            similarity=scores.similarity,
            not_match=scores.not_match,
            partial_match=scores.partial_match,
            exact_match=scores.exact_match,
        )
        draft.output_length = len(label)

    def _gone(self) -> InferenceRefused:
        return Overloaded(ErrorType.SHUTTING_DOWN) if self._engine.draining else ClientDisconnected(ErrorType.CLIENT_DISCONNECTED)
