"""From a fault to the group and back, through the running stack as it ships: rules, Alertmanager, notifier, simulated DingTalk."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.deadline import until

if TYPE_CHECKING:
    from tests.stack.running import Stack

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]


def messages(stack: Stack, robot: str, word: str) -> list[dict[str, Any]]:
    """What a simulated group has seen that has a word in it, the oldest first."""
    seen = httpx.get(f"{stack.url('simulator_port')}/messages", params={"robot": robot}, timeout=20).json()["messages"]
    return [message for message in seen if word in message["text"]]


def rules(stack: Stack) -> list[dict[str, Any]]:
    """Prometheus' rules with their health."""
    groups = httpx.get(f"{stack.prometheus_url}/api/v1/rules", timeout=20).json()["data"]["groups"]
    return [rule for group in groups for rule in group["rules"]]


def test_every_rule_is_loaded_and_can_be_evaluated(stack: Stack) -> None:
    """Those that ship; none has an error."""
    until(lambda: all(rule["health"] == "ok" for rule in rules(stack)), deadline=120)
    assert {"HighLatency", "HighErrorRate", "TrafficDrop", "ErrorLogs", "Watchdog"} <= {rule["name"] for rule in rules(stack)}
    assert [rule["lastError"] for rule in rules(stack) if rule.get("lastError")] == []


def test_prometheus_tells_alertmanager_and_alertmanager_the_notifier(stack: Stack) -> None:
    """The Watchdog fires all the time, and no group hears of it."""
    status = httpx.get(f"{stack.prometheus_url}/api/v1/alertmanagers", timeout=20).json()["data"]
    assert len(status["activeAlertmanagers"]) == 1
    until(lambda: stack.query("mgeo_notifier_watchdog_timestamp_seconds > 0"), deadline=120)
    assert messages(stack, "warning", "Watchdog") == messages(stack, "info", "Watchdog") == messages(stack, "critical", "Watchdog") == []


def test_a_service_that_is_gone_is_told_and_so_is_its_return(stack: Stack) -> None:
    """In the group of the critical ones; one message each, with the instance, and the first steps of its runbook."""
    before = len(messages(stack, "critical", "ServiceGone"))
    stack.stop("service")
    try:
        until(lambda: len(messages(stack, "critical", "ServiceGone")) > before, deadline=240)
    finally:
        stack.start("service")
        stack.wait_healthy("service")
    firing = messages(stack, "critical", "ServiceGone")[before]
    until(lambda: len(messages(stack, "critical", "ServiceGone")) > before + 1, deadline=240)
    resolved = messages(stack, "critical", "ServiceGone")[before + 1]

    assert "🔴 严重" in firing["text"]
    assert "/serve/0" in firing["text"]
    assert "①" in firing["text"]
    assert "恢复" in resolved["text"]
    assert len(messages(stack, "critical", "ServiceGone")) == before + 2
