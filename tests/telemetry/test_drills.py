"""The running service with a drill's file in its data folder: it fails where it may be drilled, and nowhere else."""

from __future__ import annotations

import time

import pytest

from service.drill_faults import FILE, FaultFile, Faults

PAIR = {"address1": "杭州市文一西路969号", "address2": "杭州文一西路"}


@pytest.mark.parametrize(("drills", "expected"), [("on", [200, 500, 200]), ("off", [200, 200, 200]), ("weekly", [200, 200, 200])])
async def test_it_fails_while_a_drill_wants_it_to_if_it_may(start, tmp_path, drills, expected) -> None:
    """By the file in its own data folder; log and spans say what they say of any failure."""
    service = await start(drills=drills)
    faults = FaultFile(tmp_path / "data" / FILE, clock=time.time)
    statuses = []
    for change in (lambda: None, lambda: faults.write(Faults(fail_every=1), seconds=60), faults.clear):
        change()
        statuses.append((await service.client.post("/v1/match", json=PAIR)).status_code)
    assert statuses == expected

    failed = expected.count(500)
    points = service.points()["mgeo.requests"]
    assert points.get("error.type=model_failed,status=error", 0) == failed
    assert points["status=success"] == 3 - failed
    assert [span.attributes["error.type"] for span in service.spans() if span.name == "mgeo.inference" and not span.status.is_ok] == (
        ["model_failed"] * failed
    )
