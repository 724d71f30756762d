"""`mgeo watch`: on a second machine, hears this project's boxes and tells DingTalk when one is silent."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 -- typer reads the annotations when it runs
from typing import Annotated

import typer

_UPSTREAMS = ("alertmanager_url", "prometheus_url")


def watch(
    config: Annotated[Path, typer.Option("--config", help="TOML file as of `mgeo notifier`, with [[boxes]]; docs/notifier-watch.md.")],
    host: Annotated[str | None, typer.Option(help="Address to listen on.", show_default="of the file")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="TCP port.", show_default="of the file")] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Folder of the queue.", show_default="of the file")] = None,
) -> None:
    """Run on a second machine, until SIGTERM: take signed heartbeats of boxes, and say in the groups which is silent since when.

    It needs no model and no torch. A silence is said after 5 minutes, again every 4 hours, and its end too.

    \b
    Examples:
      mgeo watch --config watch.toml
      mgeo watch --config watch.toml --host 0.0.0.0 --port 8060
    """  # noqa: D301 -- the backspace character tells the help not to wrap what follows
    from cli.notifier.process import run_notifier
    from dingtalk.config import load_config
    from dingtalk.errors import ConfigError

    loaded = load_config(config, host=host, port=port, data_dir=None if data_dir is None else str(data_dir.absolute()))
    if not loaded.boxes:
        raise ConfigError(f"{config} has no [[boxes]], so there is nothing to watch; `mgeo notifier run` runs a notifier")
    # Neither is on a second machine, unless the file says so.
    run_notifier(loaded.model_copy(update={name: "" for name in _UPSTREAMS if name not in loaded.model_fields_set}))
