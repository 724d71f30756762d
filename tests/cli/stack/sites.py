"""Stacks as tests plan them: all settings at their defaults, programs in /programs, the checkout in /checkout, data in /data."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cli.stack.layout import Layout
from cli.stack.probe import Probe
from cli.stack.process import Listener, Process
from cli.stack.profile import Profile
from cli.stack.site import Secrets, Site
from service.settings import Settings

VERSIONS = {
    "prometheus": "3.15.0",
    "loki": "3.7.8",
    "jaeger": "2.13.0",
    "alertmanager": "0.31.1",
    "collector": "0.155.0",
    "caddy": "2.11.9",
    "grafana": "13.2.3",
}


@dataclass(frozen=True)
class Program:
    path: Path
    version: str
    origin: str


def site(profile=Profile.LITE, *, gateway=False, grafana=False, data_dir=Path("/data"), secrets=None, root=Path("/checkout"), **settings):
    """A site of a profile; `settings` by name."""
    names = [name for name in VERSIONS if name != "grafana" or grafana]
    return Site(
        profile=profile,
        gateway=gateway,
        settings=Settings.load(data_dir=data_dir, **settings),
        layout=Layout(data_dir),
        root=root,
        python="/python",
        python_path="/package",
        programs={name: Program(Path(f"/programs/{name}"), VERSIONS[name], "PATH") for name in names},
        secrets=secrets or Secrets(grafana_password_file=Path("/data/grafana.password")),
    )


def process(name="thing", *, argv=("/bin/thing",), ports=(), probes=(), **changes):
    """One process of which only a few things matter."""
    return Process(
        **{
            "name": name,
            "argv": tuple(argv),
            "environment": {},
            "version": "1.2.3",
            "origin": "PATH",
            "address": "http://127.0.0.1:1",
            "listeners": tuple(Listener(setting=setting, host="127.0.0.1", port=port) for setting, port in ports),
            "probes": tuple(Probe(url=url) for url in probes),
            "advice": "look again",
            **changes,
        }
    )
