"""The pins are read from the Go modules."""

from __future__ import annotations

import pytest

from cli.stack.pin import components, read_pin
from cli.stack.program import PROGRAMS
from service.errors import ProgramUnavailable

MANIFEST = """dist:
  name: otelcol-mgeo
  version: 0.155.0

receivers:
  - gomod: go.opentelemetry.io/collector/receiver/otlpreceiver v0.155.0
providers:
  - gomod: go.opentelemetry.io/collector/confmap/provider/envprovider v1.61.0
"""


def test_a_module_gives_both_versions_and_the_go_it_needs(stack):
    """The module's version, the release's, and the oldest Go."""
    (stack / "prometheus").mkdir()
    (stack / "prometheus/go.mod").write_text(
        "module m\n\ngo 1.26.5\n\nrequire (\n\tgithub.com/prometheus/prometheus/extra v9.9.9\n\tgithub.com/prometheus/prometheus v0.315.0 // indirect\n)\n"
    )
    pin = read_pin(PROGRAMS["prometheus"], stack)
    assert (str(pin.module_version), str(pin.version), str(pin.go)) == ("0.315.0", "3.15.0", "1.26.5")
    assert (pin.folder, pin.manifest) == (stack / "prometheus", None)


def test_a_require_of_one_line_counts_too(stack):
    """`require MODULE VERSION` without a block."""
    (stack / "caddy").mkdir()
    (stack / "caddy/go.mod").write_text("module m\ngo 1.26\nrequire github.com/caddyserver/caddy/v2 v2.11.9\n")
    assert read_pin(PROGRAMS["caddy"], stack).version == (2, 11, 9)


def test_the_collectors_version_is_that_of_its_manifest(stack):
    """There is no module of the whole Collector."""
    (stack / "collector").mkdir()
    (stack / "collector/go.mod").write_text("module m\ngo 1.26.0\n")
    (stack / "collector/manifest.yaml").write_text(MANIFEST)
    pin = read_pin(PROGRAMS["collector"], stack)
    assert str(pin.version) == "0.155.0"
    assert pin.manifest is not None
    assert components(pin.manifest) == [
        "go.opentelemetry.io/collector/receiver/otlpreceiver",
        "go.opentelemetry.io/collector/confmap/provider/envprovider",
    ]


def test_a_missing_folder_is_named_with_the_fix(stack):
    """An installed package without the checkout has no pins."""
    with pytest.raises(ProgramUnavailable, match=r"loki: .*/stack/loki/go.mod cannot be read .*run mgeo from a whole checkout"):
        read_pin(PROGRAMS["loki"], stack)


@pytest.mark.parametrize(
    ("go_mod", "problem"),
    [
        ("module m\ngo 1.26\n", "go.mod does not require github.com/grafana/loki/v3"),
        ("module m\nrequire github.com/grafana/loki/v3 v3.7.8\n", "go.mod has no version"),
    ],
)
def test_a_module_without_the_pin_is_named(stack, go_mod, problem):
    """The message says what the file lacks."""
    (stack / "loki").mkdir()
    (stack / "loki/go.mod").write_text(go_mod)
    with pytest.raises(ProgramUnavailable, match=problem):
        read_pin(PROGRAMS["loki"], stack)
