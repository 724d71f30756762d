"""The gauges and counters that are read at each collection."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from service.gpu import GpuDevice, GpuSample
from service.surroundings.audit_record import AuditRecord
from service.surroundings.drill_record import DrillRecord
from service.surroundings.folders import FolderUsage
from service.telemetry import names
from service.telemetry.gauges import (
    observe_audit,
    observe_clock_skew,
    observe_depths,
    observe_drills,
    observe_folders,
    observe_gpu,
    observe_losses,
    observe_model,
    observe_sent,
    observe_value,
    observe_workday,
)

CARD = GpuDevice(hw_id="GPU-1", index=0, name="RTX 4090", memory_used_bytes=6_000, memory_limit_bytes=24_000, utilization=0.37)
CARD_LABELS = (("hw.id", "GPU-1"), ("hw.model", "RTX 4090"), ("hw.vendor", "nvidia"))


def values(signals: Any) -> dict[str, dict[Any, float]]:
    return {name: {labels: point.value for labels, point in series.items()} for name, series in signals.points().items()}


def sample(*devices: GpuDevice) -> GpuSample:
    return GpuSample(taken_at_monotonic=0.0, taken_at_unix_ns=0, devices=devices)


def test_a_gpu_sample_becomes_four_gauges_a_device(signals: Any) -> None:
    """Bytes and ratios by the hardware conventions."""
    second = replace(CARD, hw_id="GPU-2", index=1, memory_used_bytes=12_000, utilization=1.0)
    observe_gpu(signals.meter, lambda: sample(CARD, second))
    second_labels = (("hw.id", "GPU-2"), ("hw.model", "RTX 4090"), ("hw.vendor", "nvidia"))

    assert values(signals) == {
        "hw.gpu.memory.usage": {CARD_LABELS: 6_000, second_labels: 12_000},
        "hw.gpu.memory.limit": {CARD_LABELS: 24_000, second_labels: 24_000},
        "hw.gpu.memory.utilization": {CARD_LABELS: 0.25, second_labels: 0.5},
        "hw.gpu.utilization": {CARD_LABELS: 0.37, second_labels: 1.0},
    }


@pytest.mark.parametrize("latest", [None, sample()])
def test_without_a_gpu_or_a_fresh_sample_there_is_no_series(signals: Any, latest: GpuSample | None) -> None:
    """Absent, not 0."""
    observe_gpu(signals.meter, lambda: latest)

    assert values(signals) == {}


def test_what_the_driver_does_not_tell_is_no_series(signals: Any) -> None:
    """A card without a utilization has its memory, and a card without a name is called unknown."""
    observe_gpu(signals.meter, lambda: sample(replace(CARD, name=None, utilization=None)))
    labels = (("hw.id", "GPU-1"), ("hw.model", "unknown"), ("hw.vendor", "nvidia"))

    assert values(signals) == {
        "hw.gpu.memory.usage": {labels: 6_000},
        "hw.gpu.memory.limit": {labels: 24_000},
        "hw.gpu.memory.utilization": {labels: 0.25},
    }


OTLP_REASONS = ("spool_full", "spool_expired", "refused", "rejected", "write_failed", "corrupt", "encode_failed")


def test_every_kind_of_loss_is_a_series_from_the_start(signals: Any) -> None:
    """Those that happened with their count, the others with 0."""
    observe_losses(signals.meter, lambda: {("traces", "spool_full"): 512, ("file", "queue_full"): 3})

    assert values(signals) == {
        "mgeo.telemetry.dropped": {
            **{(("reason", reason), ("signal", signal)): 0 for signal in ("traces", "metrics", "logs") for reason in OTLP_REASONS},
            (("reason", "spool_full"), ("signal", "traces")): 512,
            (("reason", "queue_full"), ("signal", "file")): 3,
            (("reason", "write_failed"), ("signal", "file")): 0,
            (("reason", "queue_full"), ("signal", "store")): 0,
            (("reason", "write_failed"), ("signal", "store")): 0,
            (("reason", "exception"), ("signal", "recorder")): 0,
            (("reason", "table_full"), ("signal", "open_events")): 0,
            (("reason", "exception"), ("signal", "collection")): 0,
        },
    }


def test_what_was_sent_is_a_series_of_each_signal(signals: Any) -> None:
    """Also of one that has sent nothing."""
    observe_sent(signals.meter, lambda: {"traces": 7})

    assert values(signals) == {
        "mgeo.telemetry.sent": {(("signal", "traces"),): 7, (("signal", "metrics"),): 0, (("signal", "logs"),): 0},
    }


def test_a_number_without_labels_is_read_each_time(signals: Any) -> None:
    """Such as the inferences that are open."""
    numbers = iter((3, 0))
    observe_value(signals.meter, names.REQUESTS_ACTIVE, lambda: next(numbers))

    assert [values(signals), values(signals)] == [{"mgeo.requests.active": {(): 3}}, {"mgeo.requests.active": {(): 0}}]


def test_each_queue_has_its_depth(signals: Any) -> None:
    """By signal."""
    observe_depths(signals.meter, {"file": lambda: 7, "store": lambda: 0})

    assert values(signals) == {"mgeo.telemetry.queue.depth": {(("signal", "file"),): 7, (("signal", "store"),): 0}}


def test_the_model_is_told_by_the_labels_of_a_1(signals: Any) -> None:
    """Which one, which version, and where it runs."""
    observe_model(signals.meter, name="mgeo", version="1.0", device="cpu")

    assert values(signals) == {"mgeo.model.info": {(("device", "cpu"), ("name", "mgeo"), ("version", "1.0")): 1}}


def test_each_folder_has_what_is_taken_and_what_there_is(signals: Any) -> None:
    """In bytes, by folder."""
    usage = {"data": FolderUsage(usage_bytes=60, limit_bytes=95), "loki": FolderUsage(usage_bytes=7, limit_bytes=1000)}
    observe_folders(signals.meter, lambda: usage)
    data, loki = (("mgeo.folder", "data"),), (("mgeo.folder", "loki"),)

    assert values(signals) == {
        "system.filesystem.usage": {data: 60, loki: 7},
        "system.filesystem.limit": {data: 95, loki: 1000},
    }


def test_each_store_that_answered_has_its_skew(signals: Any) -> None:
    """Also one of 0, which is not the same as none."""
    observe_clock_skew(signals.meter, lambda: {"prometheus": 0.0, "jaeger": -42.5})

    assert values(signals) == {"mgeo.clock.skew": {(("mgeo.store", "prometheus"),): 0.0, (("mgeo.store", "jaeger"),): -42.5}}


def test_an_audit_is_four_numbers(signals: Any) -> None:
    """The stores that could not be read are counted."""
    record = AuditRecord(difference=3, unflushed=2, unread=("loki", "jaeger"), ended_unix_ns=1_795_602_539_500_000_000)
    observe_audit(signals.meter, lambda: record)

    assert values(signals) == {
        "mgeo.audit.difference": {(): 3},
        "mgeo.audit.unflushed": {(): 2},
        "mgeo.audit.unread": {(): 2},
        "mgeo.audit.timestamp": {(): 1_795_602_539.5},
    }


@pytest.mark.parametrize(("failed", "failures"), [((), 0), (("loki-away", "box-gone"), 2)])
def test_drills_are_how_many_failed_and_when(signals: Any, failed: tuple[str, ...], failures: int) -> None:
    """That none failed is a 0, which is not the same as none that was run."""
    record = DrillRecord(passed=15, failed=failed, ended_unix_ns=1_795_602_539_500_000_000)
    observe_drills(signals.meter, lambda: record)

    assert values(signals) == {"mgeo.drill.failures": {(): failures}, "mgeo.drill.timestamp": {(): 1_795_602_539.5}}


@pytest.mark.parametrize(("worked", "expected"), [(True, {(): 1}), (False, {(): 0})])
def test_a_day_is_worked_or_not(signals: Any, worked: bool, expected: Any) -> None:
    """1 or 0."""
    observe_workday(signals.meter, lambda: worked)

    assert values(signals) == {"mgeo.workday": expected}


def test_surroundings_of_which_nothing_is_known_have_no_series(signals: Any) -> None:
    """Before the first sample, and once the last one is stale: not 0, which would say that all is well."""
    observe_folders(signals.meter, lambda: None)
    observe_clock_skew(signals.meter, dict)
    observe_audit(signals.meter, lambda: None)
    observe_drills(signals.meter, lambda: None)
    observe_workday(signals.meter, lambda: None)

    assert values(signals) == {}


def test_a_reading_that_fails_leaves_the_others_alone(signals: Any) -> None:
    """A gauge over a closed file must not take the whole scrape with it."""

    def broken() -> float:
        raise OSError("gone")

    observe_value(signals.meter, names.STORE_SIZE, broken)
    observe_value(signals.meter, names.REQUESTS_ACTIVE, lambda: 1)

    assert values(signals) == {"mgeo.requests.active": {(): 1}}
