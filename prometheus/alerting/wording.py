"""Pieces of templates that several alerts share. Pure."""

from __future__ import annotations

# By the name people know, and by the id or address where there is none.
WHERE = "{{ with $labels.mgeo_instance_name }}{{ . }}{{ else }}{{ $labels.instance }}{{ end }}"
PERCENT = "{{ $value | humanizePercentage }}"
SECONDS = "{{ $value | humanizeDuration }}"
WHOLE = '{{ $value | printf "%.0f" }}'


def label(name: str) -> str:
    """The value of a label."""
    return f"{{{{ $labels.{name} }}}}"


def percent(ratio: float) -> str:
    """A line that is a ratio: `5%`."""
    return f"{ratio * 100:.4g}%"
