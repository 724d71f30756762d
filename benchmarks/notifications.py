"""Notifications as Alertmanager posts them, numbered: of each it can be told in which message it arrived."""

from __future__ import annotations

import json
import re

RECEIVER = "ops"
"""The one receiver that all of them are for."""

_INSTANCE = re.compile(r"box-(\d{7})")


def notification(number: int, *, critical: bool = False) -> bytes:
    """The body of one: a group of its own with one alert that fires, with the labels and annotations that our rules give it."""
    name, instance = f"Bench{number % 50}", f"box-{number:07}"
    labels = {
        "alertname": name,
        "severity": "critical" if critical else "warning",
        "instance": instance,
        "mgeo_instance_name": f"{instance}/serve/0",
        "job": "mgeo",
    }
    annotations = {
        "summary": f"{name} 推理错误率过高",
        "description": f"{name}：{instance} 过去 10 分钟错误、超时和过载占 7.3%。",
        "value": "7.3%",
        "threshold": "5%",
        "runbook_url": "docs/runbooks/HighErrorRate.md",
        "dashboard": "mgeo-overview",
        "story": "/v1/requests?status=error",
    }
    alert = {
        "status": "firing",
        "labels": labels,
        "annotations": annotations,
        "startsAt": "2026-11-28T00:50:00Z",
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "http://127.0.0.1:9090/graph?g0.expr=mgeo%3Aerror_ratio%3E0.05&g0.tab=1",
        "fingerprint": f"{number:016x}",
    }
    members = {
        "version": "4",
        "groupKey": f'{{}}:{{alertname="{name}", instance="{instance}"}}',
        "truncatedAlerts": 0,
        "status": "firing",
        "receiver": RECEIVER,
        "groupLabels": {"alertname": name, "instance": instance},
        "commonLabels": labels,
        "commonAnnotations": annotations,
        "externalURL": "http://127.0.0.1:9093",
        "alerts": [alert],
    }
    return json.dumps(members, ensure_ascii=False, separators=(",", ":")).encode()


def on_the_wire(body: bytes) -> bytes:
    """The whole HTTP request that posts it to a notifier."""
    head = f"POST /v1/alertmanager/{RECEIVER} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    return f"{head}\r\n\r\n".encode() + body


def numbers_told(text: str) -> set[int]:
    """The numbers of the notifications that the text of a message tells."""
    return {int(number) for number in _INSTANCE.findall(text)}
