"""Notifications to try a template, a robot or a page with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dingtalk.alert import Alert, AlertStatus, Notification
from dingtalk.received import Received

if TYPE_CHECKING:
    from collections.abc import Mapping

HOSTILE = "@所有人 [点我](https://evil.example.com) **粗** `x` <font color=red>红</font>\n# 标题\u202e\u200b{{ 7 * 7 }}"
_MINUTE = 60.0


def samples(now: float) -> dict[str, list[Received]]:
    """By what they show: one critical alert, several, an end, a beginning and its end, a late end, labels that mean harm."""
    latency = _latency(now)
    return {
        "firing": [_received(now, latency)],
        "several": [_received(now, latency, _errors(now), _latency(now, instance="gpu-02"), truncated=2, repeat=2)],
        "resolved": [_received(now, _over(latency, now))],
        "fired and resolved": [_received(now - 30, latency), _received(now, _over(latency, now))],
        "late": [_received(now, _late(now), late=True)],
        "hostile": [_received(now, _hostile(now))],
    }


def _latency(now: float, instance: str = "gpu-01") -> Alert:
    return _alert(
        "HighLatency",
        "warning",
        instance,
        starts_at=now - 12 * _MINUTE,
        summary="推理延迟过高",
        description="过去 5 分钟成功推理的 P95 延迟超过 0.8 s。",
        value="1.24 s",
        threshold="0.8 s",
        first_steps="看队列是否积压\n看 GPU 是否被占用\n必要时减小批量",
        runbook_url="/runbooks/HighLatency",
        dashboard_url="/grafana/d/mgeo-overview",
        story_url="/v1/requests?status=success",
    )


def _errors(now: float) -> Alert:
    return _alert(
        "HighErrorRate",
        "critical",
        "gpu-01",
        starts_at=now - 3 * _MINUTE,
        summary="推理错误率过高",
        description="过去 10 分钟错误、超时和过载占 7.3%。",
        value="7.3%",
        threshold="5%",
        request_ids="0197a2f4-6c1e-7b7e-9d53-0c5f0c7f5a11",
    )


def _late(now: float) -> Alert:
    alert = _alert(
        "ServiceDown", "critical", "gpu-01", starts_at=now - 60 * _MINUTE, summary="服务不可用", ended_at=str(now - 40 * _MINUTE)
    )
    return Alert(
        status=AlertStatus.RESOLVED,
        labels={**alert.labels, "late": "true"},
        annotations=alert.annotations,
        starts_at=alert.starts_at,
        ends_at=now + 5 * _MINUTE,
        fingerprint="late",
    )


def _hostile(now: float) -> Alert:
    return _alert(HOSTILE, "critical", HOSTILE, starts_at=now, summary=HOSTILE, description=HOSTILE, runbook_url="javascript:alert(1)")


def _alert(name: str, severity: str, instance: str, *, starts_at: float, **annotations: str) -> Alert:
    return Alert(
        status=AlertStatus.FIRING,
        labels={"alertname": name, "severity": severity, "mgeo_instance_name": instance},
        annotations=annotations,
        starts_at=starts_at,
        fingerprint=f"{name}/{instance}",
    )


def _over(alert: Alert, now: float) -> Alert:
    return Alert(
        status=AlertStatus.RESOLVED,
        labels=alert.labels,
        annotations=alert.annotations,
        starts_at=alert.starts_at,
        ends_at=now - 20,
        fingerprint=alert.fingerprint,
    )


def _received(now: float, *alerts: Alert, truncated: int = 0, repeat: int = 0, late: bool = False) -> Received:
    labels: Mapping[str, str] = {"alertname": alerts[0].name}
    notification = Notification(
        receiver="critical",
        group_key='{}:{alertname="HighLatency"}',
        status=AlertStatus.FIRING if any(alert.status is AlertStatus.FIRING for alert in alerts) else AlertStatus.RESOLVED,
        group_labels=labels,
        truncated=truncated,
        alerts=alerts,
    )
    return Received(notification=notification, received_at=now, repeat=repeat, late=late)
