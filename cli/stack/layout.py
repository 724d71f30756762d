"""Where the stack keeps what it needs to run, below the data folder."""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path

from service.data_dir import unusable
from service.errors import StartupError

STACK_FOLDER = "stack"
DRILLED_FOLDER = "drilled"
SOCKET_LIMIT = 90
"""Bytes of a Unix socket's path. Linux takes 107, and supervisord first binds a name that is longer by its process id."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The paths of one stack; `data_dir` is absolute."""

    data_dir: Path

    @property
    def run(self) -> Path:
        """The run folder, mode 0700; its path marks every process of the stack."""
        return self.data_dir / STACK_FOLDER

    @property
    def drilled(self) -> Layout:
        """The stack that drills have of their own, beside this one."""
        return Layout(self.data_dir / DRILLED_FOLDER)

    @property
    def drilled_lock(self) -> Path:
        """Held while it is there; beside its folder, since that is removed."""
        return self.data_dir / f"{DRILLED_FOLDER}.lock"

    @property
    def logs(self) -> Path:
        """What the processes print, a file each."""
        return self.run / "logs"

    @property
    def state(self) -> Path:
        """What runs, mode 0600: it holds secrets."""
        return self.run / "state.json"

    @property
    def conf(self) -> Path:
        """The configuration of supervisord."""
        return self.run / "supervisord.conf"

    @property
    def supervisor_output(self) -> Path:
        """What supervisord prints before it has a log, such as that it does not understand its configuration."""
        return self.logs / "supervisord.out"

    @property
    def lock(self) -> Path:
        """Held while a stack comes up."""
        return self.run / "up.lock"

    @property
    def prometheus(self) -> Path:
        """Prometheus' configuration as it runs: links into the checkout, and real target files."""
        return self.run / "prometheus"

    @property
    def alertmanager(self) -> Path:
        """Alertmanager's configuration as it runs: a link into the checkout, and where it posts."""
        return self.run / "alerting"

    @property
    def notifier_config(self) -> Path:
        """The configuration of a notifier that tells the simulator."""
        return self.run / "notifier.toml"

    @property
    def simulator_config(self) -> Path:
        """Rules of the simulator, where drills have them changed."""
        return self.run / "simulator.toml"

    @property
    def watcher_config(self) -> Path:
        """The configuration of the watcher that plays the second machine in drills."""
        return self.run / "watcher.toml"

    @property
    def notifier_token(self) -> Path:
        """What Alertmanager shows the notifier; made at each start."""
        return self.alertmanager / "targets" / "token"

    @property
    def simulator_journal(self) -> Path:
        """What the simulated groups have seen."""
        return self.run / "simulator.jsonl"

    @property
    def gateway_password(self) -> Path:
        """The gateway's password, when it was made here."""
        return self.data_dir / "gateway.password"

    @property
    def grafana_password(self) -> Path:
        """The password of Grafana's administrator."""
        return self.data_dir / "grafana.password"

    @property
    def ingest_token(self) -> Path:
        """A copy of the token that agents send, while the stack is up."""
        return self.run / "ingest.token"

    @property
    def upstream_token(self) -> Path:
        """A copy of the token for the stack elsewhere, while the agent is up."""
        return self.run / "upstream.token"

    @property
    def tokens(self) -> tuple[Path, Path]:
        """Both."""
        return self.ingest_token, self.upstream_token

    def log(self, name: str) -> Path:
        """The log file of one process."""
        return self.logs / f"{name}.log"

    def store(self, name: str) -> Path:
        """The folder in which one program keeps its data."""
        return self.run / name

    def control_socket(self, temporary: Path | None = None) -> Path:
        """The socket of supervisord: in the run folder, or below the temporary folder where that path is too long for a socket."""
        own = self.run / "control.sock"
        if len(os.fsencode(own)) <= SOCKET_LIMIT:
            return own
        folder = (temporary or Path(tempfile.gettempdir())) / f"mgeo-{os.getuid()}"
        return folder / f"{hashlib.blake2b(os.fsencode(self.run), digest_size=8).hexdigest()}.sock"

    def prepare(self) -> None:
        """Make the folders.

        Raises:
            StartupError: one cannot be made, or somebody else made it first.
        """
        folder = self.run
        try:
            for folder in (self.run, self.logs, self.prometheus, self.notifier_token.parent, self.control_socket().parent):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.run.chmod(0o700)
        except OSError as error:
            raise unusable(folder, error) from error
        there = self.control_socket().parent.lstat()
        if there.st_uid != os.getuid() or stat.S_IMODE(there.st_mode) & 0o077:
            raise StartupError(f"{self.control_socket().parent} is open to others; remove it, or set MGEO_DATA_DIR to a shorter path")


def configuration_root(package: Path = Path(__file__)) -> Path:
    """The checkout that has the stack's configuration files, found from this package's own place.

    Raises:
        StartupError: the package was installed without them.
    """
    root = package.resolve().parents[2]
    if not (root / "prometheus" / "prometheus.yml").is_file():
        raise StartupError(
            f"the configuration files of the stack are not in {root}: mgeo was installed without its checkout; "
            "clone the repository and install it from there with `make setup`"
        )
    return root
