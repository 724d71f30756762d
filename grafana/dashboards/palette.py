"""Colours with one meaning everywhere, from Grafana's own palette, so that they follow the reader's light or dark theme."""

from __future__ import annotations

from service.errors import Outcome
from service.telemetry.event import Stage

GOOD = "green"
WARNING = "orange"
BAD = "red"
NEUTRAL = "text"
QUIET = "semi-dark-blue"

STATUS = {
    Outcome.SUCCESS: GOOD,
    Outcome.INVALID: "blue",
    Outcome.OVERLOADED: WARNING,
    Outcome.TIMEOUT: "purple",
    Outcome.CANCELLED: NEUTRAL,
    Outcome.ERROR: BAD,
}

# The slower the percentile, the warmer.
PERCENTILE = {50: "super-light-blue", 95: "blue", 99: "dark-blue"}

STAGE = {
    Stage.READ: "light-blue",
    Stage.CLEAN: "light-purple",
    Stage.QUEUE: WARNING,
    Stage.TOKENIZE: "yellow",
    Stage.INFERENCE: "blue",
    Stage.DELIVER: "light-green",
}
