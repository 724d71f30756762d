"""`mgeo down`: end the stack."""

from __future__ import annotations

import time
from pathlib import Path  # noqa: TC003 -- typer reads the annotations when it runs
from typing import Annotated

import typer


def down(
    data_dir: Annotated[Path | None, typer.Option(help="The data folder of the stack (MGEO_DATA_DIR).", show_default="var")] = None,
) -> None:
    """End every process of the stack, those too whose supervisor was killed.

    Who sends telemetry ends before who takes it, each with time to finish; what does not end in time is killed, and named.
    What was stored stays.

    \b
    Examples:
      mgeo down
      mgeo down --data-dir /srv/mgeo

    Exit code 0 also when nothing was running.
    """  # noqa: D301 -- the backspace character tells the help not to wrap what follows
    from cli.stack.ending import Ending
    from cli.stack.layout import Layout
    from service.settings import Settings

    layout = Layout(Settings.load(data_dir=data_dir).data_dir.resolve())
    print(Ending(layout, monotonic=time.monotonic, pause=time.sleep).end().text())
