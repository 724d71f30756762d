"""`mgeo serve`: the HTTP service."""

from __future__ import annotations

import os
from pathlib import Path  # noqa: TC003 -- typer reads the annotations when it runs
from typing import Annotated

import typer


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on (MGEO_HOST).", show_default="127.0.0.1")] = None,
    port: Annotated[int | None, typer.Option(help="TCP port; 0 takes a free one (MGEO_PORT).", show_default="8000")] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Folder of log, store and hash key (MGEO_DATA_DIR).", show_default="var")] = None,
    model: Annotated[str | None, typer.Option(help="`embedded`, `fake`, or a folder (MGEO_MODEL).", show_default="embedded")] = None,
    config: Annotated[Path | None, typer.Option(help="TOML file with settings (MGEO_CONFIG_FILE).")] = None,
) -> None:
    """Serve the HTTP API until SIGTERM or Ctrl-C.

    What is in flight then is finished, and telemetry is flushed, before the process ends.

    \b
    Examples:
      mgeo serve
      mgeo serve --port 9000 --data-dir /srv/mgeo
      mgeo serve --model ~/checkpoints/mgeo-base --host 0.0.0.0
      MGEO_MAX_BATCH_SIZE=64 mgeo serve --config mgeo.toml

    Every other setting is a MGEO_... variable or a line of the TOML file: docs/configuration.md lists them.
    """  # noqa: D301 -- the backspace character tells the help not to wrap what follows
    from service.__main__ import run
    from service.settings import CONFIG_FILE, Settings

    if config is not None:
        os.environ[CONFIG_FILE] = str(config)
    raise typer.Exit(run(Settings.load(host=host, port=port, data_dir=data_dir, model=model)))
