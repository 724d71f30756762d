"""Which of JSON and HTML a caller prefers, by its `Accept` header."""

from __future__ import annotations

JSON = "application/json"
HTML = "text/html"


def prefers_html(accept: str) -> bool:
    """Whether HTML ranks above JSON. What names neither, or ranks both alike by a wildcard, gets JSON."""
    html = _quality(accept, HTML)
    return html > 0 and html > _quality(accept, JSON)


def _quality(accept: str, media_type: str) -> float:
    ranges = {media_type: 3, f"{media_type.partition('/')[0]}/*": 2, "*/*": 1}
    best = (0, 0.0)
    for part in accept.split(","):
        name, _, parameters = part.partition(";")
        specificity = ranges.get(name.strip().lower(), 0)
        if specificity > best[0]:
            best = (specificity, _weight(parameters))
    return best[1]


def _weight(parameters: str) -> float:
    for parameter in parameters.split(";"):
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "q":
            try:
                return min(max(float(value), 0.0), 1.0)
            except ValueError:
                return 0.0
    return 1.0
