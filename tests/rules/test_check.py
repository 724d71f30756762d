"""The files in the eyes of the programs that read them; and the metrics of those programs in ours."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from prometheus.alerting import foreign_metrics
from prometheus.alerting.file import files
from prometheus.alerting.scale import TimeScale
from prometheus.alerting.server import scaled_server
from tests.deadline import until
from tests.rules.alertmanager import free_port, running, started
from tests.rules.promtool import ROOT, RULES


def ran(*argv: object) -> str:
    """What a check prints; it must find nothing wrong."""
    done = subprocess.run([str(each) for each in argv], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.stack
def test_the_rules_are_right_by_every_lint(program: Callable[[str], Path]) -> None:
    """And a rule that is not is found."""
    assert ran(program("promtool"), "check", "rules", "--lint=all", "--lint-fatal", *RULES).count("SUCCESS") == len(RULES)

    wrong = "groups: [{name: g, rules: [{alert: A, expr: 'sum(rate(x[5m])'}]}]"
    argv = [program("promtool"), "check", "rules", "--lint=all", "--lint-fatal"]
    assert subprocess.run(argv, input=wrong, capture_output=True, text=True, timeout=60, check=False).returncode != 0


@pytest.mark.stack
@pytest.mark.parametrize("factor", [0.01, 0.1])
def test_shorter_minutes_are_still_right(factor: float, program: Callable[[str], Path], tmp_path: Path) -> None:
    """Every file that drills would use, to Prometheus and to Alertmanager."""
    for name, text in files(TimeScale(factor)).items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    ran(program("promtool"), "check", "rules", "--lint=all", "--lint-fatal", *tmp_path.glob("prometheus/*/*.yml"))
    ran(program("amtool"), "check-config", tmp_path / "alertmanager/alertmanager.yml")
    server = tmp_path / "prometheus/prometheus.yml"
    server.write_text(scaled_server((ROOT / "prometheus/prometheus.yml").read_text(encoding="utf-8"), TimeScale(factor)), encoding="utf-8")
    ran(program("promtool"), "check", "config", server)


@pytest.mark.stack
def test_prometheus_shows_the_metrics_that_we_read_of_it(program: Callable[[str], Path], tmp_path: Path) -> None:
    """From its start, at 0: none of them is born with the first failure. The lowest time is there with the first block alone."""
    (tmp_path / "rules.yml").write_text("groups: [{name: g, rules: [{record: a, expr: vector(1)}]}]")
    (tmp_path / "prometheus.yml").write_text(
        "rule_files: [rules.yml]\nalerting: {alertmanagers: [{static_configs: [{targets: ['127.0.0.1:9']}]}]}\n"
    )
    address = f"127.0.0.1:{free_port()}"
    argv = [program("prometheus"), "--config.file=prometheus.yml", "--storage.tsdb.path=data", f"--web.listen-address={address}"]
    with started([*argv, "--log.level=warn"], tmp_path, f"http://{address}/-/ready"):

        def missing() -> set[str]:
            shown = httpx.get(f"http://{address}/metrics", trust_env=False).text
            return {name for name in foreign_metrics.OWNERS["prometheus"] if f"\n{name}" not in shown}

        # Those about an Alertmanager come once it is discovered, seconds later.
        until(lambda: not missing(), deadline=60)


@pytest.mark.stack
def test_alertmanager_shows_the_metrics_that_we_read_of_it(program: Callable[[str], Path], tmp_path: Path) -> None:
    """From its start, at 0."""
    with running(program("alertmanager"), tmp_path, scale=1) as manager:
        shown = httpx.get(f"{manager.url}/metrics", trust_env=False).text

    assert {name for name in foreign_metrics.OWNERS["alertmanager"] if f"\n{name}" not in shown} == set()
    assert 'alertmanager_notifications_failed_total{integration="webhook",reason="serverError"} 0' in shown


@pytest.mark.stack
@pytest.mark.parametrize(("name", "owner"), [("collector", "collector"), ("collector", "collector and jaeger"), ("loki", "loki")])
def test_the_others_know_the_metrics_that_we_read_of_them(name: str, owner: str, program: Callable[[str], Path]) -> None:
    """Theirs are born with the first count, so they are looked for in the program itself; `_total` is added by whoever shows them."""
    binary = program(name).read_bytes()
    stems = {each.removesuffix("_total") for each in foreign_metrics.OWNERS[owner]}

    assert {stem for stem in stems if stem.removeprefix("loki_").encode() not in binary} == set()


def test_compose_and_native_read_the_same_files() -> None:
    """Every rule file that is made is one that Prometheus' configuration names."""
    config = (ROOT / "prometheus/prometheus.yml").read_text(encoding="utf-8")

    assert "  - rules/*.yml\n  - alerts/*.yml\n" in config
    assert {path.parent.name for path in RULES} == {"rules", "alerts"}
