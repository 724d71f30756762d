"""Who somebody is that does not say so."""

from __future__ import annotations

import getpass

import typer


def login_name() -> str:
    """The login name of whoever runs this; a group is told it, so there is no other in its place.

    Raises:
        typer.BadParameter: there is none, as in a container whose user has a number only.
    """
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        raise typer.BadParameter("give your name with --by") from None
