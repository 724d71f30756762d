"""MGeo served over HTTP, with one span, its metric points and one log line for every inference.

`monitor_performance` gives the same to any function of a script or notebook, without a server.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from service.instrument import monitor_performance

__all__ = ["__version__", "monitor_performance"]


def __getattr__(name: str) -> object:
    """Load what is asked for only then, so that importing the package costs nothing."""
    if name == "monitor_performance":
        from service.instrument import monitor_performance

        return monitor_performance
    if name == "__version__":
        from importlib.metadata import version

        return version("mgeo")
    message = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(message)
