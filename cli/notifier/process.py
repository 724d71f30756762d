"""The notifier as a process of its own."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

from dingtalk.app import run
from service.instance import instance_id, instance_name

if TYPE_CHECKING:
    from dingtalk.config import Config

COMMAND = "notifier"


def run_notifier(config: Config) -> None:
    """Run it until a signal, as the one notifier of its data folder.

    Raises:
        NotifierError: it cannot start, or not go on.
    """
    host, folder = socket.gethostname(), config.data_dir.resolve()
    run(
        config,
        instance=instance_id(folder, COMMAND, 0, host=host),
        instance_name=os.environ.get("MGEO_INSTANCE_NAME") or instance_name(COMMAND, 0, host=host),
    )
