"""The answer to one pair, for a reader."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cli.bars import bar
from cli.duration import duration_text

if TYPE_CHECKING:
    from service.telemetry.event import InferenceEvent

BAR_WIDTH = 30


def answer_text(event: InferenceEvent) -> str:
    """The label, the three probabilities as bars, and where the rest of the story is.

    Args:
        event: of an inference that succeeded.
    """
    answer = event.answer
    assert answer is not None
    rows = (("not_match", answer.not_match), ("partial_match", answer.partial_match), ("exact_match", answer.exact_match))
    lines = [f"{answer.label}   similarity {answer.similarity:.3f}"]
    lines += [f"  {name:<14}{value:>6.3f}  {bar(value, BAR_WIDTH)}".rstrip() for name, value in rows]
    if event.truncated:
        lines.append("  an address was cut before the model saw it")
    lines.append(f"  {duration_text(event.duration)}, model {event.model_name} {event.model_version}; mgeo lookup {event.request_id}")
    return "\n".join(lines) + "\n"
