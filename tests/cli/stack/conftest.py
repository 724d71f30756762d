"""Small true programs: shell scripts that tell a version, Go modules that build in a second, an HTTP server with archives."""

from __future__ import annotations

import hashlib
import io
import tarfile
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from cli.stack.program import PROGRAMS
from service.settings import Settings

GO_FILE = """package main

import (
	"os"

	"{module}"
)

func main() {{ os.Stdout.WriteString("{name} version " + lib.Told() + "\\n") }}
"""
MODULES = {"prometheus": "v0.315.0", "alertmanager": "v0.31.1", "loki": "v3.7.8", "jaeger": "v1.76.0", "caddy": "v2.11.9"}


def script(path: Path, says: str, *, argument: str = "--version") -> Path:
    """An executable that answers one argument with a text, and anything else with an error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n[ \"$1\" = '{argument}' ] || exit 2\ncat <<'END'\n{says}\nEND\n")
    path.chmod(0o755)
    return path


def write_go_module(stack: Path, name: str) -> Path:
    """stack/NAME whose program is a replacement with no dependencies, and has the same packages as the true one."""
    program = PROGRAMS[name]
    version = MODULES[name]
    folder, source = stack / name, stack.parent / f"{name}-source"
    folder.mkdir(parents=True)
    (folder / "go.sum").write_text("")
    (folder / "go.mod").write_text(
        f"module mgeo.invalid/stack/{name}\n\ngo 1.21\n\nrequire (\n\t{program.module} {version} // indirect\n)\n\n"
        f"replace {program.module} => {source}\n"
    )
    variable_package, _, variable = program.version_variable.rpartition(".")
    if not variable_package.startswith(program.module):
        variable_package, variable = f"{program.module}/ours", "Version"
    library = source / variable_package.removeprefix(program.module).lstrip("/")
    library.mkdir(parents=True)
    (source / "go.mod").write_text(f"module {program.module}\n\ngo 1.21\n")
    (library / "lib.go").write_text(f"package lib\n\nvar {variable} string\n\nfunc Told() string {{ return {variable} }}\n")
    for binary in program.binaries:
        command = source / binary.package.removeprefix(program.module).lstrip("/")
        command.mkdir(parents=True)
        text = GO_FILE.format(module=variable_package, name=binary.name)
        (command / "main.go").write_text(text)
    return folder


@pytest.fixture
def stack(tmp_path):
    """A folder of pins, in which `write_go_module` makes modules."""
    folder = tmp_path / "stack"
    folder.mkdir()
    return folder


@pytest.fixture
def settings(tmp_path, monkeypatch):
    """Settings with a cache of the test's own; nothing of the stack is on PATH but the system's folders."""
    monkeypatch.setenv("MGEO_STACK_CACHE", str(tmp_path / "cache"))
    return Settings.load()


@pytest.fixture
def said():
    """What was said, line by line."""
    return []


def tar_of(members: dict[str, bytes], *, mode: str = "w:gz") -> bytes:
    """A tar with these files."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as tar:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def zip_of(members: dict[str, bytes]) -> bytes:
    """A zip with these files."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def sha256(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


class FileServer:
    """Answers GET with what `files` has for the path: bytes, or a function of the handler; 404 otherwise."""

    def __init__(self) -> None:
        self.files = {}
        self.asked = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                outer.asked.append(self.path)
                content = outer.files.get(self.path)
                if content is None:
                    self.send_error(404)
                elif callable(content):
                    content(self)
                else:
                    self.send_response(200)
                    self.send_header("Content-Length", str(len(content)))
                    self.end_headers()
                    self.wfile.write(content)

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def server():
    server = FileServer()
    yield server
    server.close()
