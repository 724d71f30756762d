"""A request's story, and lists of requests, for a terminal: from the API's JSON. Pure."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from cli.bars import span_bar
from cli.duration import duration_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Members = dict[str, Any]  # JSON

BAR_WIDTH = 40
FULL_ATTEMPTS = 3
"""Attempts told in full; of more, each has one line."""


def story_text(story: Members) -> str:
    """All attempts of a request."""
    return _page(_story(story))


def list_text(page: Members) -> str:
    """One line for each request that was found."""
    return _page(_list(page))


def _page(lines: Iterator[str]) -> str:
    return "\n".join(visible(line) for line in lines) + "\n"


def visible(text: str) -> str:
    """The text with everything that could steer a terminal written out; an address may hold such characters."""
    return "".join(character if character.isprintable() else character.encode("unicode_escape").decode() for character in text)


def _story(story: Members) -> Iterator[str]:
    attempts = story["attempts"]
    yield str(story["request_id"])
    if len(attempts) > FULL_ATTEMPTS:
        yield f"{len(attempts)} inferences; one of them in full: mgeo lookup {attempts[0]['request_id']}"
        for attempt in attempts:
            yield _line(attempt, attempt["outcome"], attempt["answer"])
    else:
        for number, attempt in enumerate(attempts, 1):
            yield ""
            if len(attempts) > 1:
                yield f"attempt {number} of {len(attempts)}, {attempt['request_id']}"
            yield from _attempt(attempt)
    if story["more"]:
        yield f"{story['more']} more were left out"
    for missing in story["missing"]:
        yield f"missing: {missing}"


def _list(page: Members) -> Iterator[str]:
    for request in page["requests"]:
        yield _line(request, request, request)
    if page["next_cursor"]:
        yield "there are more; raise --limit"


def _line(request: Members, outcome: Members, answer: Members | None) -> str:
    ended = outcome["error_type"] or (answer or {}).get("label") or ""
    return f"{request['started']}  {outcome['status']:<10} {ended:<20} {_ms(request['latency_ms']):>9}  {request['request_id']}"


def _attempt(attempt: Members) -> Iterator[str]:
    outcome = attempt["outcome"]
    yield outcome["in_words"]
    if outcome["advice"]:
        yield f"  {outcome['advice']}"
    if answer := attempt["answer"]:
        yield f"  {_answer(answer)}"
    if exception := outcome["exception"]:
        yield f"  {exception['type']}"
        for frame in exception["frames"]:
            yield f"    {frame}"
    yield ""
    yield from (f"  {name:<9}{text}" for name, text in _facts(attempt).items() if text)
    yield ""
    yield f"  timeline ({_ms(attempt['timeline_ms'])})"
    yield from (f"  {line}" for line in _timeline(attempt))
    for log in attempt["logs"]:
        yield ""
        yield "  log line"
        yield f"  {json.dumps(log, ensure_ascii=False)}"


def _answer(answer: Members) -> str:
    similarity = "" if answer["similarity"] is None else f", similarity {answer['similarity']:.3f}"
    shares = ", ".join(f"{name} {value:.3f}" for name, value in (answer["probabilities"] or {}).items())
    return f"{answer['label']}{similarity}" + (f" ({shares})" if shares else "")


def _facts(attempt: Members) -> Mapping[str, str]:
    model = attempt["model"]
    return {
        "started": f"{attempt['started']}, took {_ms(attempt['latency_ms'])}",
        "function": f"{attempt['function']} on instance {attempt['service_instance']}",
        "trace": f"{attempt['trace_id']}, span {attempt['span_id']}",
        "model": f"{model['name']} {model['version']}" if model else "",
        "input": _input(attempt),
        "text": _text(attempt["text"]),
        "batch": _batch(attempt),
        "moment": _moment(attempt["moment"]),
        "alerts": "; ".join(_alert(alert) for alert in attempt["moment"]["alerts"]),
        "metrics": "; ".join(_point(point) for point in attempt["moment"]["points"]),
        "gpu": "; ".join(_gpu(device) for device in attempt["gpu"]),
        "links": ", ".join(f"{name} {attempt['links'][name]}" for name in ("trace", "logs", "metrics") if name in attempt["links"]),
    }


def _input(attempt: Members) -> str:
    known = [f"{name} of {facts['length']} characters (hash {facts['hash']})" for name, facts in attempt["addresses"].items() if facts]
    return ", ".join(known) + (", cut before the model saw it" if attempt["truncated"] else "")


def _text(text: Members) -> str:
    return f"{text['address1']}  |  {text['address2']}" if text["captured"] else ""


def _batch(attempt: Members) -> str:
    batch = attempt["batch"]
    if batch is None:
        return ""
    others = [member["request_id"] for member in batch["members"] if member["request_id"] != attempt["request_id"]]
    beside = f", beside {', '.join(others[:3])}" + (f" and {len(others) - 3} more" if len(others) > 3 else "") if others else ", alone"
    failed = f", failed: {batch['error_type']}" if batch["error_type"] else ""
    return f"{batch['batch_id']} of {len(batch['members'])}, ran {_ms(batch['duration_ms'])}{beside}{failed}"


def _moment(moment: Members) -> str:
    p95 = "" if moment["p95_ms"] is None else f", P95 {_ms(moment['p95_ms'])}"
    queue = "" if moment["queue_depth"] is None else f"; {moment['queue_depth']} were waiting when it joined the queue"
    if moment["inferences"] is None:
        return f"what else ran in the minute from {moment['minute']} is not known{queue}"
    return f"{moment['inferences']} inferences in the minute from {moment['minute']}, {moment['failed']} failed{p95}{queue}"


def _alert(alert: Members) -> str:
    severity = f" ({alert['severity']})" if alert["severity"] else ""
    return f"{alert['name']}{severity} was firing, its condition true since {alert['since']}"


def _point(point: Members) -> str:
    device = f" of {point['device']}" if point["device"] else ""
    side = "before" if point["distance_ms"] < 0 else "after"
    return f"{point['name']}{device} {point['value']:.4g} ({_ms(abs(point['distance_ms']))} {side})"


def _gpu(device: Members) -> str:
    busy = "" if device["utilization"] is None else f", {device['utilization']:.0%} busy"
    return f"{device['id']} {device['memory_usage_bytes'] / device['memory_limit_bytes']:.0%} of memory{busy}"


def _timeline(attempt: Members) -> Iterator[str]:
    whole = attempt["timeline_ms"] or 1.0
    width = max(len(row["name"]) + 2 * row["depth"] for row in attempt["timeline"])
    for row in attempt["timeline"]:
        name = "  " * row["depth"] + row["name"]
        bar = span_bar(row["offset_ms"] / whole, row["duration_ms"] / whole, BAR_WIDTH)
        yield f"{name:<{width}}  {bar}  {_ms(row['duration_ms']):>9}"


def _ms(milliseconds: float) -> str:
    return duration_text(milliseconds / 1000)
