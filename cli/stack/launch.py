"""Becomes one process of the stack: reads its arguments and variables from the state file and executes it.

Run as a script by an isolated interpreter, so that it is there within milliseconds and leaves nothing behind. Arguments
and variables go this way because supervisord's own file can quote neither freely, and it alone need hold no secret.
"""

from __future__ import annotations

import json
import os
import sys
from typing import NoReturn

PROGRAM_VARIABLE = "MGEO_STACK_PROGRAM"


def launch(state_file: str, name: str) -> NoReturn:
    """Execute the process of that name; its process id stays."""
    with open(state_file, encoding="utf-8") as file:  # noqa: PTH123 -- pathlib would take longer to import than all the rest
        process = next(process for process in json.load(file)["processes"] if process["name"] == name)
    if process["folder"] is not None:
        os.chdir(process["folder"])
    marker = {variable: value for variable, value in os.environ.items() if variable == "MGEO_STACK"}
    drops, keeps = tuple(process["drops"]), process["keeps"]
    inherited = {variable: value for variable, value in os.environ.items() if variable in keeps or not variable.startswith(drops)}
    environment = {**inherited, **process["environment"], **marker, PROGRAM_VARIABLE: name}
    os.execve(process["argv"][0], process["argv"], environment)  # noqa: S606 -- no shell is meant


if __name__ == "__main__":
    launch(*sys.argv[1:])
