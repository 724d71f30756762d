"""What each profile consists of, literally."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from cli.stack.doors import grafana_home
from cli.stack.drilling import SHORTEST_COOLDOWN, SHORTEST_EXPORT, SHORTEST_STUCK
from cli.stack.plan import plan, program_names
from cli.stack.profile import Profile, process_names, stop_tiers
from cli.stack.site import Secrets, authority
from tests.cli.stack.sites import site


def planned(*arguments, **options):
    return {process.name: process for process in plan(site(*arguments, **options))}


def test_lite_is_the_service_and_what_scrapes_it():
    """What others send to comes first, who compares them comes last."""
    assert list(planned()) == ["simulator", "notifier", "prometheus", "alertmanager", "service", "auditor"]


def test_with_robots_of_ones_own_nothing_is_simulated():
    """The notifier gets that configuration; what depends on the stack is said on its command line."""
    notifier = planned(Profile.FULL, notifier_config=Path("/etc/notifier.toml"))["notifier"]
    assert "simulator" not in planned(notifier_config=Path("/etc/notifier.toml"))
    assert notifier.argv == (
        "/python",
        "-P",
        "-m",
        "cli.main",
        "notifier",
        "run",
        "--config=/etc/notifier.toml",
        "--host=127.0.0.1",
        "--port=8060",
        "--data-dir=/data/stack/notifier",
        "--alertmanager-url=http://127.0.0.1:9093",
        "--prometheus-url=http://127.0.0.1:9090",
        "--token-file=/data/stack/alerting/targets/token",
        "--runbooks=/checkout/docs/runbooks",
    )
    assert [probe.url for probe in notifier.probes] == ["http://127.0.0.1:8060/readyz"]


def test_messages_have_links_where_a_phone_can_follow_them():
    """Not to a loopback address; to dashboards only where there is a Grafana."""
    options = {"gateway": True, "public_url": "https://box.example"}
    assert planned(Profile.FULL, gateway=True)["notifier"].argv[-1] == "--runbooks=/checkout/docs/runbooks"
    assert planned(Profile.FULL, **options)["notifier"].argv[-1] == "--public-url=https://box.example"
    with_grafana = planned(Profile.FULL, grafana=True, **options)["notifier"]
    assert with_grafana.argv[-2:] == ("--public-url=https://box.example", "--grafana-url=https://box.example/grafana")


def test_the_notifiers_traces_go_where_there_is_a_collector():
    """In the full profile; a stray variable of the caller leads them nowhere else."""
    full, lite = planned(Profile.FULL)["notifier"], planned()["notifier"]
    assert full.environment["OTEL_EXPORTER_OTLP_ENDPOINT"] == "http://127.0.0.1:4317"
    assert full.environment["OTEL_EXPORTER_OTLP_PROTOCOL"] == "grpc"
    assert "OTEL_EXPORTER_OTLP_ENDPOINT" not in lite.environment
    assert "OTEL_" in full.drops


def test_the_simulator_keeps_what_its_groups_have_seen():
    """Over a restart of the stack."""
    simulator = planned()["simulator"]
    assert simulator.argv[4:] == ("notifier", "simulate", "--host=127.0.0.1", "--port=8061", "--journal=/data/stack/simulator.jsonl")
    assert [probe.url for probe in simulator.probes] == ["http://127.0.0.1:8061/livez"]


def test_full_is_everything():
    """Stores, then the Collector, then the service, then the doors."""
    names = list(planned(Profile.FULL, gateway=True, grafana=True))
    assert names == [
        "simulator",
        "notifier",
        "prometheus",
        "loki",
        "jaeger",
        "alertmanager",
        "collector",
        "service",
        "auditor",
        "grafana",
        "gateway",
    ]


def test_agent_is_service_and_collector():
    """It has no store of its own."""
    assert list(planned(Profile.AGENT, upstream="https://box.example/otlp")) == ["collector", "service"]


def test_what_is_part_of_the_package_is_not_located_nor_is_grafana_which_may_be_missing():
    """The gateway is the program caddy."""
    assert program_names(Profile.FULL, gateway=True) == ("prometheus", "loki", "jaeger", "alertmanager", "collector", "caddy")
    assert program_names(Profile.AGENT, gateway=False) == ("collector",)


def test_who_sends_ends_before_who_receives():
    """Tier by tier; a process of which nothing is known ends first."""
    names = process_names(Profile.FULL, gateway=True, grafana=True, simulator=True)
    assert stop_tiers((*names, "stranger")) == [
        ("stranger",),
        ("grafana", "gateway", "auditor"),
        ("service",),
        ("collector",),
        ("prometheus", "loki", "jaeger", "alertmanager"),
        ("notifier",),
        ("simulator",),
    ]
    assert stop_tiers(()) == []


def test_drills_have_a_second_machine_that_is_up_before_and_after_what_it_watches():
    """And nobody who drills by a schedule: that is for stacks that tell real people."""
    processes = planned(Profile.FULL, gateway=True, grafana=True, drills="on")
    assert list(processes)[:3] == ["simulator", "watcher", "notifier"]
    assert "driller" not in processes
    assert stop_tiers(tuple(processes))[-3:] == [("notifier",), ("watcher",), ("simulator",)]
    assert processes["watcher"].argv == (
        "/python", "-P", "-m", "cli.main", "watch",
        "--config=/data/stack/watcher.toml", "--host=127.0.0.1", "--port=8062", "--data-dir=/data/stack/watcher",
    )  # fmt: skip
    assert processes["watcher"].address == "http://127.0.0.1:8062"
    assert [listener.port for listener in processes["watcher"].listeners] == [8062]
    assert [probe.url for probe in processes["watcher"].probes] == ["http://127.0.0.1:8062/livez"]
    assert planned(drills="on", watcher_port=9062)["watcher"].argv[-2] == "--port=9062"


def test_the_lite_profile_can_be_drilled_too():
    """With what it has."""
    assert list(planned(drills="on")) == ["simulator", "watcher", "notifier", "prometheus", "alertmanager", "service", "auditor"]


def test_weekly_drills_leave_this_stack_as_it_is_but_for_who_starts_them():
    """Shown to nobody; it gets the time to end the stack that it drills."""
    processes = planned(Profile.FULL, drills="weekly", drill_day=7, drill_hour=3.5)
    assert list(processes) == [*planned(Profile.FULL), "driller"]
    driller = processes["driller"]
    assert driller.argv == ("/python", "-P", "-m", "cli.drill.weekly", "/data", "7", "3.5")
    assert (driller.listed, driller.listeners, driller.probes, driller.stop_grace) == (False, (), (), 120.0)
    assert {name: each for name, each in processes.items() if name != "driller"} == planned(Profile.FULL)
    assert list(planned(Profile.FULL, drills="weekly", gateway=True, grafana=True))[-3:] == ["driller", "grafana", "gateway"]
    assert stop_tiers(tuple(processes))[0] == ("auditor", "driller")
    assert planned(drills="weekly", notifier_config=Path("/etc/notifier.toml"))["driller"].name == "driller"


def test_an_agent_is_not_drilled():
    """It alerts nobody."""
    assert list(planned(Profile.AGENT, upstream="https://box.example/otlp", drills="on")) == ["collector", "service"]
    assert list(planned(Profile.AGENT, upstream="https://box.example/otlp", drills="weekly")) == ["collector", "service"]


def test_nothing_has_to_be_located_for_drills():
    """Watcher and driller are part of the package."""
    assert {process.argv[0] for process in planned(drills="on").values() if process.name in {"watcher", "simulator"}} == {"/python"}
    assert planned(drills="weekly")["driller"].argv[0] == "/python"


def test_the_service_lets_drills_disturb_it_only_where_they_may():
    """Those of a schedule have a service of their own; and the answer is given, so that a stray variable gives no other."""
    assert [planned(drills=drills)["service"].environment["MGEO_DRILLS"] for drills in ("off", "on", "weekly")] == ["off", "on", "off"]


def test_the_simulator_has_its_rules_changed_only_for_drills():
    """A file of its own."""
    assert planned(drills="on")["simulator"].argv[-1] == "--config=/data/stack/simulator.toml"
    assert planned(drills="weekly")["simulator"].argv == planned()["simulator"].argv


def test_an_audit_comes_as_often_as_the_rule_that_misses_it_expects():
    """An hour of the rules; no shorter than a minute, in which what is late arrives."""
    assert planned(drills="on", drill_scale=0.1)["auditor"].argv[4:6] == ("360", "300")
    assert planned(drills="on", drill_scale=0.01)["auditor"].argv[4:6] == ("60", "60")


def test_at_another_scale_a_plan_differs_in_what_takes_time_and_in_nothing_else():
    """Four durations: the service's three and the auditor's rhythm; rules, Alertmanager and notifier read files."""
    usual, short = planned(Profile.FULL, drills="on"), planned(Profile.FULL, drills="on", drill_scale=0.05)
    differing = {name for name, process in usual.items() if short[name] != process}
    assert differing == {"service", "auditor"}
    assert replace(short["service"], environment=usual["service"].environment) == usual["service"]
    assert short["service"].environment == usual["service"].environment | {
        "OTEL_METRIC_EXPORT_INTERVAL": "500",
        "MGEO_BREAKER_COOLDOWN": f"{SHORTEST_COOLDOWN:g}",
        "MGEO_STUCK_AFTER": f"{SHORTEST_STUCK:g}",
    }
    changed = [(one, other) for one, other in zip(usual["auditor"].argv, short["auditor"].argv, strict=True) if one != other]
    assert changed == [("3600", "180"), ("300", "180"), ("--since=7200s", "--since=360s"), ("--settle=300s", "--settle=45s")]
    assert replace(short["auditor"], argv=usual["auditor"].argv) == usual["auditor"]


def test_the_services_own_durations_have_a_least_where_minutes_are_short():
    """What a busy machine needs in any case; what was set is what is scaled."""

    def told(**settings):
        environment = planned(drills="on", **settings)["service"].environment
        return [environment.get(name) for name in ("OTEL_METRIC_EXPORT_INTERVAL", "MGEO_BREAKER_COOLDOWN", "MGEO_STUCK_AFTER")]

    assert told() == [None, None, None]
    assert told(drill_scale=0.5, breaker_cooldown=8.0, stuck_after=60.0) == ["5000", "4", "30"]
    assert told(drill_scale=0.01) == [f"{SHORTEST_EXPORT * 1000:.0f}", f"{SHORTEST_COOLDOWN:g}", f"{SHORTEST_STUCK:g}"]


def test_prometheus_of_lite_scrapes_in_little_memory():
    """No receiver, no exemplars: nothing is pushed to it."""
    prometheus = planned()["prometheus"]
    assert prometheus.argv == (
        "/programs/prometheus",
        "--config.file=/data/stack/prometheus/prometheus.yml",
        "--storage.tsdb.path=/data/stack/prometheus/data",
        "--storage.tsdb.retention.time=7d",
        "--rules.alert.for-grace-period=0s",
        "--web.listen-address=127.0.0.1:9090",
        "--web.external-url=http://127.0.0.1:9090",
        "--web.route-prefix=/",
        "--log.level=warn",
    )
    assert prometheus.environment == {"GOMEMLIMIT": "160MiB", "GOGC": "50"}
    assert [probe.url for probe in prometheus.probes] == ["http://127.0.0.1:9090/-/ready"]
    assert prometheus.version == "3.15.0"


def test_prometheus_of_full_takes_otlp_with_exemplars():
    """Behind the gateway it knows its public address, and keeps answering at the root."""
    prometheus = planned(Profile.FULL, gateway=True, public_url="https://box.example", prometheus_retention_days=30)["prometheus"]
    assert prometheus.argv[3:] == (
        "--storage.tsdb.retention.time=30d",
        "--rules.alert.for-grace-period=0s",
        "--web.listen-address=127.0.0.1:9090",
        "--web.external-url=https://box.example/prometheus/",
        "--web.route-prefix=/",
        "--web.enable-otlp-receiver",
        "--enable-feature=exemplar-storage",
        "--log.level=warn",
    )
    assert prometheus.environment == {}
    assert [probe.url for probe in prometheus.probes] == ["http://127.0.0.1:9090/-/ready"]


def test_alertmanager_gossips_with_nobody():
    """It keeps silences below the data folder, and runs beside the files that say where it posts."""
    assert planned()["alertmanager"].folder == "/data/stack/alerting"
    assert planned()["alertmanager"].argv == (
        "/programs/alertmanager",
        "--config.file=/data/stack/alerting/alertmanager.yml",
        "--storage.path=/data/stack/alertmanager",
        "--web.listen-address=127.0.0.1:9093",
        "--cluster.listen-address=",
        "--web.external-url=http://127.0.0.1:9093",
        "--web.route-prefix=/",
        "--log.level=warn",
    )


def test_loki_reads_its_place_and_retention_from_variables():
    """Retention in hours, which every program understands."""
    loki = planned(Profile.FULL, loki_retention_days=3)["loki"]
    assert loki.argv == ("/programs/loki", "-config.file=/checkout/loki/loki.yaml", "-config.expand-env=true")
    assert loki.environment == {
        "MGEO_STACK_HOST": "127.0.0.1",
        "MGEO_LOKI_PORT": "3100",
        "MGEO_LOKI_GRPC_PORT": "9095",
        "MGEO_LOKI_DIR": "/data/stack/loki",
        "MGEO_LOKI_RETENTION": "72h",
    }
    assert [probe.url for probe in loki.probes] == ["http://127.0.0.1:3100/ready"]


def test_jaeger_is_ready_when_it_is_healthy_and_answers_queries():
    """Two questions."""
    jaeger = planned(Profile.FULL)["jaeger"]
    assert jaeger.argv == ("/programs/jaeger", "--config=/checkout/jaeger/jaeger.yaml")
    assert jaeger.environment["MGEO_JAEGER_BASE_PATH"] == "/"
    assert jaeger.environment["MGEO_JAEGER_RETENTION"] == "168h"
    assert [probe.url for probe in jaeger.probes] == ["http://127.0.0.1:13134/status", "http://127.0.0.1:16686/api/v3/services"]


def test_jaeger_behind_the_gateway_answers_under_a_prefix_for_this_box_too():
    """The service looks there."""
    processes = planned(Profile.FULL, gateway=True)
    assert processes["jaeger"].environment["MGEO_JAEGER_BASE_PATH"] == "/jaeger"
    assert processes["jaeger"].probes[1].url == "http://127.0.0.1:16686/jaeger/api/v3/services"
    assert processes["service"].environment["MGEO_JAEGER_URL"] == "http://127.0.0.1:16686/jaeger"


def test_the_collector_of_full_hands_each_signal_to_its_store():
    """Its memory limit is the Go runtime's too."""
    collector = planned(Profile.FULL)["collector"]
    assert collector.argv == (
        "/programs/collector",
        "--config=/checkout/otel-collector/config.yaml",
        "--config=/checkout/otel-collector/redaction.yaml",
    )
    assert collector.environment == {
        "MGEO_STACK_HOST": "127.0.0.1",
        "MGEO_COLLECTOR_GRPC_PORT": "4317",
        "MGEO_COLLECTOR_HTTP_PORT": "4318",
        "MGEO_COLLECTOR_METRICS_PORT": "8888",
        "MGEO_COLLECTOR_HEALTH_PORT": "13133",
        "MGEO_COLLECTOR_MEMORY_MIB": "400",
        "MGEO_COLLECTOR_MEMORY_SPIKE_MIB": "80",
        "MGEO_COLLECTOR_QUEUE_BYTES": "268435456",
        "MGEO_COLLECTOR_QUEUE_COMPACTION": "false",
        "MGEO_COLLECTOR_QUEUE_DIR": "/data/stack/collector",
        "GOMEMLIMIT": "320MiB",
        "MGEO_PROMETHEUS_URL": "http://127.0.0.1:9090",
        "MGEO_LOKI_URL": "http://127.0.0.1:3100",
        "MGEO_JAEGER_OTLP_URL": "http://127.0.0.1:14317",
    }
    assert [listener.port for listener in collector.listeners] == [4317, 4318, 8888, 13133]


def test_a_full_stack_with_an_ingest_token_opens_a_door_for_agents():
    """A third file, a port and the token's file."""
    collector = planned(Profile.FULL, secrets=Secrets(ingest_token_file=Path("/secret")))["collector"]
    assert collector.argv[-1] == "--config=/checkout/otel-collector/ingest.yaml"
    assert collector.environment["MGEO_INGEST_TOKEN_FILE"] == "/secret"
    assert ("MGEO_COLLECTOR_INGEST_PORT", 4319) in [(listener.setting, listener.port) for listener in collector.listeners]


def test_the_collector_of_an_agent_sends_upstream_with_a_token():
    """It knows no store of this box."""
    collector = planned(
        Profile.AGENT,
        upstream="https://box.example:6006/otlp/",
        upstream_ca_file=Path("/ca.pem"),
        secrets=Secrets(upstream_token_file=Path("/secret")),
    )["collector"]
    assert collector.argv[-1] == "--config=/checkout/otel-collector/agent.yaml"
    assert collector.environment["MGEO_UPSTREAM"] == "https://box.example:6006/otlp"
    assert collector.environment["MGEO_UPSTREAM_TOKEN_FILE"] == "/secret"
    assert collector.environment["MGEO_UPSTREAM_CA_FILE"] == "/ca.pem"
    assert "MGEO_PROMETHEUS_URL" not in collector.environment


def test_the_service_of_lite_keeps_its_signals_and_its_own_variables():
    """An endpoint of the owner's own stays."""
    service = planned(model="fake")["service"]
    assert service.argv == (
        "/python", "-P", "-m", "cli.main", "serve", "--host=127.0.0.1", "--port=8000", "--data-dir=/data", "--model=fake",
    )  # fmt: skip
    assert service.environment == {"PYTHONPATH": "/package", "MGEO_PROMETHEUS_URL": "http://127.0.0.1:9090", "MGEO_DRILLS": "off"}
    assert service.drops == ()
    assert service.stop_grace == 30.0
    assert [probe.url for probe in service.probes] == ["http://127.0.0.1:8000/readyz"]


def test_the_service_of_full_sends_to_the_collector_and_looks_into_the_stores():
    """No stray endpoint leads a signal past it."""
    service = planned(Profile.FULL, grafana=True)["service"]
    assert service.environment == {
        "PYTHONPATH": "/package",
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4317",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
        "MGEO_PROMETHEUS_URL": "http://127.0.0.1:9090",
        "MGEO_JAEGER_URL": "http://127.0.0.1:16686",
        "MGEO_LOKI_URL": "http://127.0.0.1:3100",
        "MGEO_GRAFANA_URL": "http://127.0.0.1:3000",
        "MGEO_DRILLS": "off",
    }
    assert service.drops == ("OTEL_EXPORTER_OTLP_",)


def test_the_service_of_an_agent_has_nothing_to_look_into():
    """The stores are elsewhere."""
    service = planned(Profile.AGENT, upstream="https://box.example/otlp")["service"]
    assert sorted(service.environment) == ["MGEO_DRILLS", "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_PROTOCOL", "PYTHONPATH"]


def test_the_auditor_compares_every_hour_what_two_hours_left():
    """The first time five minutes after the start; an inference is looked for twice, and `mgeo status` does not show who does it."""
    auditor = planned(Profile.FULL)["auditor"]
    assert auditor.argv == (
        "/python", "-P", "-m", "cli.audit.loop", "3600", "300",
        "/python", "-P", "-m", "cli.main", "audit", "--record", "--data-dir=/data", "--since=7200s", "--settle=300s",
    )  # fmt: skip
    assert auditor.environment == {
        "PYTHONPATH": "/package",
        "MGEO_PROMETHEUS_URL": "http://127.0.0.1:9090",
        "MGEO_JAEGER_URL": "http://127.0.0.1:16686",
        "MGEO_LOKI_URL": "http://127.0.0.1:3100",
    }
    assert (auditor.drops, auditor.listed, auditor.listeners, auditor.probes) == ((), False, (), ())
    assert {name for name, process in planned(Profile.FULL, gateway=True, grafana=True).items() if not process.listed} == {"auditor"}


def test_the_auditor_of_lite_compares_with_the_one_store_there_is():
    """Prometheus."""
    assert planned()["auditor"].environment == {"PYTHONPATH": "/package", "MGEO_PROMETHEUS_URL": "http://127.0.0.1:9090"}


def test_an_audit_that_is_to_come_sooner_comes_sooner_and_waits_less():
    """As drills want it; three collections must have had the time to arrive all the same, or what is only late would be missing."""
    auditor = planned(audit_interval=240)["auditor"]
    assert auditor.argv[4:6] == ("240", "240")
    assert auditor.argv[-2:] == ("--since=480s", "--settle=60s")
    assert planned(audit_interval=60)["auditor"].argv[-2:] == ("--since=120s", "--settle=30s")


def test_links_lead_through_the_gateway_when_there_is_one():
    """Unless MGEO_PUBLIC_URL says otherwise."""
    own = planned(Profile.FULL, gateway=True, grafana=True)["service"].environment
    assert (own["MGEO_PUBLIC_URL"], own["MGEO_GRAFANA_URL"]) == ("http://127.0.0.1:6006", "http://127.0.0.1:6006/grafana")
    given = planned(Profile.FULL, gateway=True, public_url="https://box.example/")["service"].environment
    assert given["MGEO_PUBLIC_URL"] == "https://box.example/"


def test_the_gateway_knows_where_everything_is_and_is_ready_when_it_asks_for_the_login():
    """The password goes as a hash."""
    gateway = planned(Profile.FULL, gateway=True, secrets=Secrets(gateway_hash="$2a$14$hash"), gateway_host="0.0.0.0")["gateway"]
    assert gateway.argv == ("/programs/caddy", "run", "--config", "/checkout/gateway/Caddyfile", "--adapter", "caddyfile")
    assert gateway.environment == {
        "XDG_DATA_HOME": "/data/stack/gateway",
        "XDG_CONFIG_HOME": "/data/stack/gateway",
        "MGEO_GATEWAY_DIR": "/data/stack/gateway",
        "MGEO_GATEWAY_HOST": "0.0.0.0",
        "MGEO_GATEWAY_PORT": "6006",
        "MGEO_GATEWAY_USER": "mgeo",
        "MGEO_GATEWAY_PASSWORD_HASH": "$2a$14$hash",
        "MGEO_SERVICE_ADDRESS": "127.0.0.1:8000",
        "MGEO_PROMETHEUS_ADDRESS": "127.0.0.1:9090",
        "MGEO_ALERTMANAGER_ADDRESS": "127.0.0.1:9093",
        "MGEO_JAEGER_QUERY_ADDRESS": "127.0.0.1:16686",
        "MGEO_GRAFANA_ADDRESS": "127.0.0.1:3000",
        "MGEO_NOTIFIER_ADDRESS": "127.0.0.1:8060",
        "MGEO_SIMULATOR_ADDRESS": "127.0.0.1:8061",
        "MGEO_NOTIFIER_TOKEN_FILE": "/data/stack/alerting/targets/token",
        "MGEO_COLLECTOR_INGEST_ADDRESS": "127.0.0.1:4319",
    }
    assert [(probe.url, probe.accepted) for probe in gateway.probes] == [("http://127.0.0.1:6006/", (401,))]
    assert "hash" not in repr(gateway)


def test_the_gateway_ends_tls_where_it_has_a_certificate_and_lets_keys_pass_where_the_service_asks_for_them():
    """Both by files beside the Caddyfile."""
    options = {"gateway_certificate_file": Path("/cert.pem"), "gateway_key_file": Path("/key.pem"), "api_keys": "one"}
    gateway = planned(gateway=True, **options)["gateway"]
    assert gateway.environment["MGEO_GATEWAY_SCHEME"] == "https"
    assert gateway.environment["MGEO_GATEWAY_TLS"] == "with-tls.caddy"
    assert gateway.environment["MGEO_GATEWAY_CERTIFICATE_FILE"] == "/cert.pem"
    assert gateway.environment["MGEO_GATEWAY_KEY_FILE"] == "/key.pem"
    assert gateway.environment["MGEO_GATEWAY_KEYS"] == "with-keys.caddy"
    assert gateway.address == "https://127.0.0.1:6006"


def test_grafana_gets_our_provisioning_and_keeps_its_data_with_ours(tmp_path):
    """Its password is read from a file."""
    grafana = planned(Profile.FULL, grafana=True)["grafana"]
    assert grafana.argv == ("/programs/grafana", "server", "--config=/checkout/grafana/grafana.ini")
    assert grafana.environment == {
        "GF_PATHS_DATA": "/data/stack/grafana",
        "GF_PATHS_LOGS": "/data/stack/grafana/log",
        "GF_PATHS_PLUGINS": "/data/stack/grafana/plugins",
        "GF_PATHS_PROVISIONING": "/checkout/grafana/provisioning",
        "GF_SECURITY_ADMIN_PASSWORD": "$__file{/data/grafana.password}",
        "MGEO_STACK_HOST": "127.0.0.1",
        "MGEO_GRAFANA_PORT": "3000",
        "MGEO_GRAFANA_URL": "http://127.0.0.1:3000",
        "MGEO_PROMETHEUS_URL": "http://127.0.0.1:9090",
        "MGEO_ALERTMANAGER_URL": "http://127.0.0.1:9093",
        "MGEO_LOKI_URL": "http://127.0.0.1:3100",
        "MGEO_JAEGER_URL": "http://127.0.0.1:16686",
        "MGEO_PUBLIC_URL": "http://127.0.0.1:8000",
        "MGEO_GRAFANA_DASHBOARDS": "/checkout/grafana/dashboards",
    }
    assert (grafana.drops, grafana.keeps) == (("MGEO_", "OTEL_", "GF_"), ("GF_PATHS_BUNDLED_PLUGINS",))


def test_grafana_behind_the_gateway_answers_under_its_prefix():
    """For people and for us."""
    grafana = planned(Profile.FULL, grafana=True, gateway=True)["grafana"]
    assert grafana.environment["MGEO_GRAFANA_URL"] == "http://127.0.0.1:6006/grafana/"
    assert grafana.probes[0].url == "http://127.0.0.1:3000/grafana/api/health"


def test_grafanas_own_files_are_found_above_the_program(tmp_path):
    """As its archive has them; None where there are none."""
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf/defaults.ini").touch()
    (tmp_path / "bin").mkdir()
    assert grafana_home(tmp_path / "bin/grafana") == tmp_path
    assert grafana_home(tmp_path / "elsewhere/deeper/grafana") is None


@pytest.mark.parametrize(
    ("host", "expected"),
    [("127.0.0.1", "127.0.0.1:1"), ("0.0.0.0", "127.0.0.1:1"), ("::", "[::1]:1"), ("::1", "[::1]:1"), ("box", "box:1")],
)
def test_a_client_on_this_box_reaches_every_host(host, expected):
    """What listens everywhere is reached on loopback."""
    assert authority(host, 1) == expected


def test_programs_that_listen_on_ipv6_are_told_with_brackets():
    """Prometheus and Alertmanager want them."""
    processes = planned(stack_host="::1")
    assert "--web.listen-address=[::1]:9090" in processes["prometheus"].argv
    assert processes["alertmanager"].address == "http://[::1]:9093"
