"""`mgeo status`: how each process of the stack is."""

from __future__ import annotations

import json
import sys
from pathlib import Path  # noqa: TC003 -- typer reads the annotations when it runs
from typing import Annotated

import typer


def status(
    data_dir: Annotated[Path | None, typer.Option(help="The data folder of the stack (MGEO_DATA_DIR).", show_default="var")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON list instead of a table.")] = False,
) -> None:
    """Show each process of the stack: version, address, process id, memory, and whether it answers as it should.

    \b
    Examples:
      mgeo status
      mgeo status --json --data-dir /srv/mgeo

    Exit code 1 when one is not healthy, or nothing was started.
    """  # noqa: D301 -- the backspace character tells the help not to wrap what follows
    from cli.stack.layout import Layout
    from cli.stack.report import look, table
    from cli.stack.state import read_state
    from service.settings import Settings

    layout = Layout(Settings.load(data_dir=data_dir).data_dir.resolve())
    state = read_state(layout)
    rows = look(state) if state is not None else []
    if as_json:
        print(json.dumps([row.as_json() for row in rows]))
    elif rows:
        print(table(rows), end="")
    else:
        print(f"no stack of {layout.data_dir} is up; `mgeo up` starts one", file=sys.stderr)
    if not rows or not all(row.healthy for row in rows):
        raise typer.Exit(1)
