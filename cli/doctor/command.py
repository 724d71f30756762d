"""`mgeo doctor`: is this machine ready for the service, and if not, what mends it."""

from __future__ import annotations

import json
import os
import shutil
import time
from functools import partial
from pathlib import Path  # noqa: TC003 -- typer reads the annotations when it runs
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cli.doctor.finding import Finding
    from service.settings import Settings

    Check = Callable[[], Finding]


def doctor(
    host: Annotated[str | None, typer.Option(help="As for `mgeo serve`.")] = None,
    port: Annotated[int | None, typer.Option(help="As for `mgeo serve`.")] = None,
    data_dir: Annotated[Path | None, typer.Option(help="As for `mgeo serve`.")] = None,
    model: Annotated[str | None, typer.Option(help="As for `mgeo serve`.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a list.")] = False,
) -> None:
    """Check this machine and say how to mend what is wrong.

    Looks at Python, packages, settings, clock, data folder, disk, store, log, port, device, model, NVML, sampler
    and OTLP endpoint, as `mgeo serve` with the same options would meet them. Changes nothing.

    \b
    Examples:
      mgeo doctor
      mgeo doctor --model ~/checkpoints/mgeo-base --port 9000
      mgeo doctor --json

    `warn` works, but you should know. `fail` will not work; then the exit code is 1.
    """  # noqa: D301 -- the backspace character tells the help not to wrap what follows
    from cli.doctor.finding import Verdict, findings_json, worst

    findings = []
    for finding in _findings({"host": host, "port": port, "data_dir": data_dir, "model": model}):
        findings.append(finding)
        if not as_json:
            print(finding.text(), flush=True)
    if as_json:
        print(json.dumps(findings_json(findings)))
    if worst(findings) is Verdict.FAIL:
        raise typer.Exit(1)


def _findings(overrides: dict[str, object]) -> Iterator[Finding]:
    from cli.doctor.machine import check_packages, check_python

    yield check_python()
    packages = check_packages()
    yield packages
    if packages.verdict == "fail":
        return
    from cli.doctor.machine import check_clock
    from cli.doctor.service import check_settings, check_spelling
    from service.settings import Settings, misspelt_variables

    yield check_clock(time.time_ns, time.monotonic)
    finding, settings = check_settings(lambda: Settings.load(**overrides))
    yield finding
    yield check_spelling(misspelt_variables())
    if settings is not None:
        for name, check in (*_folder_checks(settings), *_service_checks(settings), *_telemetry_checks()):
            yield _guarded(name, check)


def _folder_checks(settings: Settings) -> Iterator[tuple[str, Check]]:
    from cli.doctor.files import check_data_folder, check_disk, check_hash_key, check_log_folder, check_store

    folder = settings.data_dir
    yield "data folder", lambda: check_data_folder(folder)
    yield "log folder", lambda: check_log_folder(folder)
    yield (
        "disk",
        lambda: check_disk(
            folder,
            log_max_bytes=settings.log_max_bytes,
            store_max_bytes=settings.store_max_bytes,
            free_bytes=lambda path: shutil.disk_usage(path).free,
        ),
    )
    yield "store", lambda: check_store(folder)
    yield "hash key", lambda: check_hash_key(folder, settings.hash_key_file)


def _service_checks(settings: Settings) -> Iterator[tuple[str, Check]]:
    import torch

    from cli.doctor.machine import check_device, check_nvml
    from cli.doctor.service import check_model, check_port
    from service.gpu import open_gpu_reader
    from service.listener import port_owner
    from service.runtime import load

    yield (
        "port",
        lambda: check_port(settings.host, settings.port, alive=lambda: _alive(settings.host, settings.port), owner=port_owner),
    )
    yield "device", lambda: check_device(settings.device, torch)
    yield "model", lambda: check_model(settings.model, lambda: load(settings))
    yield "nvml", lambda: check_nvml(settings.gpu, lambda: open_gpu_reader(settings.gpu))


def _telemetry_checks() -> Iterator[tuple[str, Check]]:
    from cli.doctor.finding import ok
    from cli.doctor.telemetry import check_otlp, check_sampler, endpoints
    from service.telemetry.sdk import otlp_over_http, otlp_wanted

    yield "sampler", lambda: check_sampler(os.environ)
    found = [*endpoints(os.environ, wanted=otlp_wanted, over_http=otlp_over_http)]
    for endpoint in found:
        yield "otlp", partial(check_otlp, endpoint, unix_seconds=time.time)
    if not found:
        yield "otlp", lambda: ok("otlp", "OTEL_EXPORTER_OTLP_ENDPOINT is not set: telemetry stays in the data folder and /metrics")


def _guarded(name: str, check: Check) -> Finding:
    from cli.doctor.finding import fail

    try:
        return check()
    except Exception as error:  # noqa: BLE001 -- one broken check must not hide the others
        return fail(name, f"the check itself failed: {type(error).__name__}: {error}", "report it with this line")


def _alive(host: str, port: int) -> bool:
    from cli.api_client import ApiClient, ServiceUnreachable
    from cli.service_url import ServiceUrl

    try:
        answer = ApiClient(ServiceUrl(host=host, port=port, tls=False, prefix=""), timeout=2.0).get("/livez")
    except ServiceUnreachable:
        return False
    return answer.status == 200 and answer.body.get("status") == "alive"
