"""The supervisord that keeps the processes alive: its configuration, its start, and its socket."""

from __future__ import annotations

import base64
import http.client
import os
import shlex
import socket
import xmlrpc.client
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.parsers.expat import ExpatError

from cli.stack.backoff import ATTEMPTS
from cli.stack.launch import PROGRAM_VARIABLE
from cli.stack.marked import MARK, SUPERVISOR
from service.errors import StartupError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cli.stack.layout import Layout
    from cli.stack.process import Process

USER = "mgeo"
RPC_TIMEOUT = 10.0
STARTED_AFTER = 5
"""Seconds a process must live to count as started: one that ends sooner waits before the next attempt, longer each time."""
SPARE_GRACE = 30.0
"""Seconds beyond a process' grace after which supervisord itself would kill it, were `mgeo down` gone."""
LOG_BYTES = 10_485_760
LOG_FILES = 3
_LAUNCH = Path(__file__).with_name("launch.py")
_NOT_RUNNING = 70


def configuration_text(layout: Layout, processes: Sequence[Process], *, python: str, password: str, root: bool) -> str:
    """The configuration of supervisord; it holds no secret but the password of its own socket.

    Args:
        layout: the folders.
        processes: in the order in which they are started.
        python: the interpreter.
        password: of the socket.
        root: whether this is root, which supervisord wants to be told.

    Raises:
        StartupError: the data folder's path has a character that the file cannot hold.
    """
    sections = [
        "[supervisord]",
        f"logfile={_value(layout.log(SUPERVISOR))}",
        f"logfile_maxbytes={LOG_BYTES}",
        f"logfile_backups={LOG_FILES}",
        f"pidfile={_value(layout.run / 'supervisord.pid')}",
        f"childlogdir={_value(layout.logs)}",
        "nodaemon=true",
        "silent=true",
        *(("user=root",) if root else ()),
        "",
        "[unix_http_server]",
        f"file={_value(layout.control_socket())}",
        "chmod=0700",
        f"username={USER}",
        f"password={password}",
        "",
        "[rpcinterface:supervisor]",
        "supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface",
        "",
        "[rpcinterface:backoff]",
        "supervisor.rpcinterface_factory=cli.stack.backoff:make_interface",
        "",
    ]
    for priority, process in enumerate(processes):
        sections += [
            f"[program:{process.name}]",
            f"command={_command(python, '-I', '-S', str(_LAUNCH), str(layout.state), process.name)}",
            f"priority={priority}",
            "autorestart=true",
            f"startsecs={STARTED_AFTER}",
            f"startretries={ATTEMPTS}",
            f"stopwaitsecs={process.stop_grace + SPARE_GRACE:.0f}",
            "stopasgroup=false",
            "killasgroup=true",
            f"stdout_logfile={_value(layout.log(process.name))}",
            f"stdout_logfile_maxbytes={LOG_BYTES}",
            f"stdout_logfile_backups={LOG_FILES}",
            "redirect_stderr=true",
            "",
        ]
    return "\n".join(sections)


def start_supervisor(layout: Layout, *, python: str, python_path: str, environment: Mapping[str, str]) -> int:
    """Start supervisord in a session of its own, so that it outlives this process and its terminal; its process id."""
    output = os.fspath(layout.supervisor_output)
    return os.posix_spawn(
        python,
        [python, "-P", "-m", "supervisor.supervisord", "--configuration", os.fspath(layout.conf)],
        {**environment, "PYTHONPATH": python_path, MARK: str(layout.run), PROGRAM_VARIABLE: SUPERVISOR},
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsid=True,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Supervised:
    """What supervisord knows of a process; `pid` is None while it does not run."""

    state: str
    pid: int | None

    @property
    def ended(self) -> bool:
        """Whether it has ended by itself, and perhaps waits to be started again."""
        return self.state in {"BACKOFF", "EXITED", "FATAL"}


class SupervisorGone(Exception):
    """supervisord does not answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """supervisord's socket."""

    socket: str
    password: str = field(repr=False)

    def processes(self) -> dict[str, Supervised]:
        """All processes by name.

        Raises:
            SupervisorGone: it does not answer.
        """
        infos = self._call("getAllProcessInfo")
        return {info["name"]: Supervised(state=info["statename"], pid=info["pid"] or None) for info in infos}

    def stop(self, name: str) -> None:
        """Send SIGTERM to a process and keep it from being started again. Returns at once; nothing happens when it does not run.

        Raises:
            SupervisorGone: it does not answer.
        """
        self._call("stopProcess", name, False)

    def start(self, name: str) -> None:
        """Start a process that was stopped, and keep it alive again. Returns at once.

        Raises:
            SupervisorGone: it does not answer, or the process runs already.
        """
        self._call("startProcess", name, False)

    def shut_down(self) -> None:
        """End supervisord.

        Raises:
            SupervisorGone: it does not answer.
        """
        self._call("shutdown")

    def _call(self, method: str, *arguments: str | bool) -> Any:  # whatever the method gives
        body = xmlrpc.client.dumps(arguments, f"supervisor.{method}")
        try:
            (result,), _ = xmlrpc.client.loads(self._answer(body.encode()))
        except xmlrpc.client.Fault as fault:
            if fault.faultCode == _NOT_RUNNING:
                return None
            raise SupervisorGone(fault.faultString) from fault
        except (OSError, http.client.HTTPException) as error:
            raise SupervisorGone(str(error) or type(error).__name__) from error
        except (ExpatError, xmlrpc.client.Error, ValueError) as error:
            raise SupervisorGone(f"{self.socket} answers with something that is not what supervisord says") from error
        return result

    def _answer(self, body: bytes) -> bytes:
        """What comes back; nothing of it stays open, also when a signal or an error ends it."""
        login = base64.b64encode(f"{USER}:{self.password}".encode()).decode()
        # An answer may outlive the connection that it came by, as one without a length does, so both are closed.
        with closing(_SocketConnection(self.socket)) as connection:
            connection.request("POST", "/RPC2", body, {"Authorization": f"Basic {login}", "Content-Type": "text/xml"})
            with connection.getresponse() as response:
                if response.status != http.client.OK:
                    raise http.client.HTTPException(f"{response.status} {response.reason}")
                return response.read()


class _SocketConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=RPC_TIMEOUT)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(RPC_TIMEOUT)
        self.sock.connect(self._path)


def _command(*words: str) -> str:
    return _value(shlex.join(words))


def _value(value: object) -> str:
    text = os.fspath(value) if isinstance(value, os.PathLike) else str(value)
    # It expands `%` once in some values and twice in others, and takes what follows ` ;` and ` #` for a comment.
    if any(part in text for part in ("%", "\n", "\r", " ;", " #")):
        raise StartupError(f"MGEO_DATA_DIR: {text!r} has a character that supervisord's configuration cannot hold; choose another folder")
    return text
