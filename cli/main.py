"""The program `mgeo`: finds the command, imports it alone, and turns what went wrong into a message and an exit code.

Exit codes: 0 done; 1 the command's own "no" (a failed assertion, nothing found, a difference); 2 wrong usage;
3 a store that `mgeo audit` could not read; 78 wrong configuration; 130 interrupted.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator, MutableMapping
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

from cli.command_group import CommandGroup
from dingtalk.errors import NotifierError
from service.errors import ServiceError, StartupError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from typer._click import Command

COMMANDS = {
    "serve": "cli.serve",
    "match": "cli.match.command",
    "lookup": "cli.lookup.command",
    "load": "cli.load.command",
    "audit": "cli.audit.command",
    "doctor": "cli.doctor.command",
    "up": "cli.up",
    "status": "cli.status",
    "down": "cli.down",
    "stack": "cli.stack.command",
    "notifier": "cli.notifier.command",
    "ack": "cli.notifier.people",
    "silence": "cli.notifier.people",
    "watch": "cli.watch",
    "maintenance": "cli.maintenance",
    "drill": "cli.drill.command",
}
"""Each command and the module in which a function, or a CommandGroup, of the same name is the command."""

HELP_WIDTH = 100


class LazyCommands(MutableMapping[str, "Command"]):
    """Commands by name, each imported when it is asked for. The names alone import nothing."""

    def __init__(self, modules: dict[str, str]) -> None:
        self._modules = modules
        self._commands: dict[str, Command] = {}

    def __getitem__(self, name: str) -> Command:
        """Import a command; KeyError when there is none of that name."""
        if name not in self._commands:
            found = getattr(importlib.import_module(self._modules[name]), name)
            self._commands[name] = _group(name, found) if isinstance(found, CommandGroup) else _command(name, found)
        return self._commands[name]

    def __setitem__(self, name: str, command: Command) -> None:
        """Add a command that is imported already."""
        self._commands[name] = command

    def __delitem__(self, name: str) -> None:
        """Forget a command that was added."""
        del self._commands[name]

    def __iter__(self) -> Iterator[str]:
        """The names, in the order in which a newcomer needs them."""
        return iter(self._modules)

    def __len__(self) -> int:
        """How many commands there are."""
        return len(self._modules)


class LazyGroup(TyperGroup):
    """The group of all commands; running one does not import the others."""

    def __init__(self, **settings: Any) -> None:  # -- the library's own keyword arguments
        super().__init__(**settings)
        self.commands = LazyCommands(COMMANDS)


def main(args: Sequence[str] | None = None) -> int:
    """Run the program; the arguments of the process unless given. Returns the exit code."""
    code: object = 0
    try:
        _program()(args, prog_name="mgeo")
    except SystemExit as ended:
        code = ended.code
    except ServiceError as error:
        print(f"mgeo: {error}", file=sys.stderr)
        return error.exit_code if isinstance(error, StartupError) else 1
    except NotifierError as error:
        print(f"mgeo: {error}", file=sys.stderr)
        return error.exit_code
    return code if isinstance(code, int) else 0


def _print_version(asked: bool) -> None:
    if asked:
        from service import __version__

        print(f"mgeo {__version__}")
        raise typer.Exit


def _print_help(context: typer.Context, asked: bool) -> None:
    if asked:
        print(context.get_help())
        raise typer.Exit


def mgeo(
    _version: Annotated[bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")] = False,
    _help: Annotated[bool, typer.Option("--help", "-h", callback=_print_help, is_eager=True, help="Show this message and exit.")] = False,
) -> None:
    """Decide whether two Chinese addresses are the same place, and account for every answer.

    \b
    Start here:
      mgeo doctor       is this machine ready, and if not, what mends it
      mgeo serve        the HTTP service on http://127.0.0.1:8000
      mgeo match A B    one answer, without a server
      mgeo lookup ID    the whole story of one request
      mgeo load         traffic for a running service, and how it fared
      mgeo up           the service with its telemetry stack; then mgeo status, mgeo down
      mgeo audit        was everything that was served also recorded
      mgeo stack        the programs of the telemetry stack
      mgeo notifier     what tells DingTalk groups of alerts
      mgeo ack GROUP    take an alert over; mgeo silence GROUP keeps it quiet
      mgeo watch        on a second machine: tells them that this box is silent
      mgeo maintenance  a time in which nobody wants to hear of this box
      mgeo drill        break it on purpose, and see that the alerts come

    `mgeo COMMAND --help` explains a command with examples. Settings are also read from MGEO_... variables and
    from the TOML file named by MGEO_CONFIG_FILE; what stands on the command line wins.
    """  # noqa: D301 -- the backspace character tells the help not to wrap what follows


def _program() -> Callable[..., None]:
    # The library's own --help imports pydantic whenever it is not asked for, which triples the time of `mgeo COMMAND --help`.
    app = _app(cls=LazyGroup, no_args_is_help=True, add_help_option=False)
    app.callback()(mgeo)
    return get_command(app)


def _command(name: str, function: Callable[..., None]) -> Command:
    app = _app()
    app.command(name)(function)
    return get_command(app)


def _group(name: str, group: CommandGroup) -> Command:
    app = _app(name=name, no_args_is_help=True, help=group.help)
    for command, function in group.commands.items():
        app.command(command)(function)
    return get_command(app)


def _app(**settings: Any) -> typer.Typer:  # the library's own keyword arguments
    # Plain markup: rich takes longer to import than everything else together.
    return typer.Typer(
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": HELP_WIDTH},
        **settings,
    )


if __name__ == "__main__":
    sys.exit(main())
