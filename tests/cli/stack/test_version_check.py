"""Executables of other people are asked what they are."""

from __future__ import annotations

import pytest

from cli.stack.program import GRAFANA, PROGRAMS, PassedOver
from cli.stack.version_check import ask_version, lacking_components
from tests.cli.stack.conftest import script


@pytest.mark.parametrize(
    ("name", "says", "version"),
    [
        ("prometheus", "prometheus, version 3.15.0 (branch: HEAD, revision: 5241a27)\n  go version:       go1.26.8", "3.15.0"),
        ("prometheus", "prometheus, version 2.42.0+ds (branch: debian/sid, revision: 2.42.0+ds-5)", "2.42.0"),
        ("prometheus", "prometheus, version  (branch: , revision: unknown)\n  go version:       go1.26.8", "None"),
        ("loki", "loki, version 3.7.8 (branch: release-3.7.x, revision: abc)", "3.7.8"),
        ("collector", "otelcol-contrib version 0.155.0", "0.155.0"),
        ("caddy", "v2.11.9 h1:bhZtcRKQOq0fuLvEgCdPYvUxXyGn9kzjG4lh2332DTE=", "2.11.9"),
        ("caddy", "unknown", "None"),
        (
            "jaeger",
            '2026/11/25 10:18:54 application version: git-commit=, git-version=v2.13.0, build-date=\n{"gitVersion":"v2.13.0"}',
            "2.13.0",
        ),
        ("jaeger", '2026/11/25 10:18:54 application version: git-commit=, git-version=, build-date=\n{"gitVersion":""}', "None"),
        ("grafana", "grafana version 13.0.1", "13.0.1"),
        ("grafana", "Version 10.2.3 (commit: abc, branch: HEAD)", "10.2.3"),
    ],
)
def test_each_program_tells_its_version_in_its_own_way(tmp_path, name, says, version):
    """As the true ones do, with a version and built without."""
    binary = (PROGRAMS | {"grafana": GRAFANA})[name].binaries[0]
    assert str(ask_version(script(tmp_path / name, says, argument=binary.version_command), binary)) == version


def test_a_version_may_be_told_on_the_error_stream(tmp_path):
    """Some programs log it."""
    path = tmp_path / "loki"
    path.write_text("#!/bin/sh\necho 'loki, version 3.7.8' >&2\nexit 1\n")
    path.chmod(0o755)
    assert ask_version(path, PROGRAMS["loki"].binaries[0]) == (3, 7, 8)


def test_what_cannot_be_run_is_passed_over_with_the_reason(tmp_path):
    """Such as an executable of another machine."""
    path = tmp_path / "loki"
    path.write_bytes(b"\x7fELF and nothing more")
    path.chmod(0o755)
    with pytest.raises(PassedOver, match=r"loki cannot be run \(Exec format error\)"):
        ask_version(path, PROGRAMS["loki"].binaries[0])


def test_what_does_not_end_is_passed_over(tmp_path):
    """A program that ignores the question and starts."""
    path = tmp_path / "loki"
    path.write_text("#!/bin/sh\nexec tail -f /dev/null\n")
    path.chmod(0o755)
    with pytest.raises(PassedOver, match="loki --version does not end within 0 s"):
        ask_version(path, PROGRAMS["loki"].binaries[0], timeout=0.2)


def test_a_collector_is_asked_for_its_components(tmp_path):
    """Those of the manifest that it does not list are named; providers are not listed by any Collector."""
    manifest = tmp_path / "manifest.yaml"
    manifest.write_text(
        "receivers:\n  - gomod: go.opentelemetry.io/collector/receiver/otlpreceiver v0.155.0\n"
        "processors:\n  - gomod: github.com/x/processor/redactionprocessor v0.155.0\n"
        "providers:\n  - gomod: go.opentelemetry.io/collector/confmap/provider/envprovider v1.61.0\n"
    )
    says = "receivers:\n    - name: otlp\n      module: go.opentelemetry.io/collector/receiver/otlpreceiver v0.155.0"
    path = script(tmp_path / "otelcol", says, argument="components")
    assert lacking_components(path, manifest) == ["redactionprocessor"]
