"""Prometheus' own configuration at another length of a minute: how often it scrapes and evaluates. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from prometheus.alerting.scale import Duration

if TYPE_CHECKING:
    from prometheus.alerting.scale import Scale

INTERVALS = ("scrape_interval", "scrape_timeout", "evaluation_interval")
_LINE = re.compile(rf"^(\s*(?:{'|'.join(INTERVALS)}): )(\d+)s$", re.MULTILINE)


def scaled_server(text: str, scale: Scale) -> str:
    """The checked-in prometheus.yml with its intervals at a scale, and nothing else changed.

    What its stores keep and take late stays: that is no part of when an alert comes.
    """
    return _LINE.sub(lambda line: line[1] + scale.duration(Duration(float(line[2]))), text)
