"""Where the stores are, for commands that stand beside a running stack and were told nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cli.stack.layout import Layout
from cli.stack.state import read_state

if TYPE_CHECKING:
    from service.settings import Settings

_VARIABLES = {"prometheus_url": "MGEO_PROMETHEUS_URL", "loki_url": "MGEO_LOKI_URL", "jaeger_url": "MGEO_JAEGER_URL"}


def with_running_stack(settings: Settings) -> Settings:
    """The settings, completed by the stores that the service of this data folder's stack was given.

    What is set stays, also when it is empty: then that store is not asked.
    """
    state = read_state(Layout(settings.data_dir.absolute()))
    given = {} if state is None else next((process.environment for process in state.processes if process.name == "service"), {})
    found = {name: given[variable] for name, variable in _VARIABLES.items() if getattr(settings, name) is None and variable in given}
    return settings.model_copy(update=found)
