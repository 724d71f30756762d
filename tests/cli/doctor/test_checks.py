"""The single checks of `mgeo doctor`."""

from __future__ import annotations

import http.server
import os
import socket
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from types import SimpleNamespace

import grpc
import pytest

from cli.doctor.files import check_data_folder, check_disk, check_hash_key, check_log_folder, check_store
from cli.doctor.finding import Finding, Verdict, fail, findings_json, ok, warn, worst
from cli.doctor.machine import check_clock, check_device, check_nvml, check_packages, check_python
from cli.doctor.service import check_model, check_port, check_settings, check_spelling
from cli.doctor.telemetry import Endpoint, check_otlp, check_sampler, endpoints
from service.errors import GpuUnavailable, ModelLoadError, StartupError
from service.gpu import FakeGpuReader, GpuDevice, NullGpuReader
from service.model.fake import FakeModel
from service.settings import Settings
from service.telemetry.sdk import otlp_over_http, otlp_wanted


def verdict_of(finding: Finding) -> tuple[str, str]:
    return finding.verdict.value, finding.found


class Readings:
    """A clock that gives one reading after the other, the last for ever."""

    def __init__(self, *readings):
        self.readings = list(readings)

    def __call__(self):
        return self.readings.pop(0) if len(self.readings) > 1 else self.readings[0]


class TestFinding:
    def test_a_finding_is_shown_with_its_fix(self):
        """What is, and what mends it."""
        assert ok("disk", "roomy").text() == "ok    disk         roomy"
        assert fail("disk", "full\nquite", "tidy up").text().splitlines() == [
            "fail  disk         full",
            "                   quite",
            "                   to mend it: tidy up",
        ]

    def test_the_worst_verdict_decides(self):
        """Nothing found is well."""
        assert worst([]) is Verdict.OK
        assert worst([ok("a", ""), warn("b", "", "x")]) is Verdict.WARN
        assert worst([fail("c", "", "x"), warn("b", "", "x")]) is Verdict.FAIL

    def test_findings_are_json(self):
        """With the worst verdict first."""
        assert findings_json([ok("a", "fine"), warn("b", "odd", "mend")]) == {
            "verdict": "warn",
            "checks": [
                {"check": "a", "verdict": "ok", "found": "fine", "fix": ""},
                {"check": "b", "verdict": "warn", "found": "odd", "fix": "mend"},
            ],
        }


class TestMachine:
    @pytest.mark.parametrize(("version", "verdict"), [((3, 11, 0), "ok"), ((3, 14, 2), "ok"), ((3, 10, 9), "fail"), ((2, 7, 18), "fail")])
    def test_python_is_new_enough_from_3_11(self, version, verdict):
        """And the fix names the make target."""
        finding = check_python(version)
        assert finding.verdict.value == verdict
        assert ("make setup" in finding.fix) is (verdict == "fail")

    def test_the_packages_of_this_environment_can_be_imported(self):
        """As the tests run in it."""
        assert check_packages({"the environment": ("fastapi", "uvicorn")}) == ok("packages", "all 2 can be imported")

    def test_packages_that_cannot_be_imported_are_named_with_what_installs_them(self):
        """A package may be there and lack a library of the system."""

        def import_module(name):
            if name == "torch":
                raise OSError("libcudart.so: cannot open")
            if name == "fastapi":
                raise ModuleNotFoundError("No module named 'fastapi'")

        finding = check_packages({"the environment": ("fastapi", "uvicorn"), "torch": ("torch",)}, import_module)
        assert verdict_of(finding) == (
            "fail",
            "fastapi (ModuleNotFoundError: No module named 'fastapi')\ntorch (OSError: libcudart.so: cannot open)",
        )
        assert finding.fix == (
            "make setup (it installs requirements.txt into .venv); make setup, or TORCH=system make setup for a torch this image brings"
        )

    def test_sound_clocks_are_well(self):
        """The moment is shown."""
        finding = check_clock(lambda: 1_795_348_800_000_000_000, Readings(1.0, 1.0, 2.0))
        assert verdict_of(finding) == ("ok", "2026-11-22 12:00:00 UTC; the monotonic clock only rises")

    def test_a_monotonic_clock_that_goes_back_is_a_failure(self):
        """Durations would be wrong."""
        assert verdict_of(check_clock(lambda: 0, Readings(1.0, 2.0, 1.5))) == ("fail", "the monotonic clock went back by 0.500000 s")

    def test_a_wall_clock_of_another_age_is_a_failure(self):
        """A machine without a battery starts in 1970."""
        assert verdict_of(check_clock(lambda: 0, Readings(1.0))) == ("fail", "the wall clock says 1970-01-01")

    @pytest.mark.parametrize(
        ("wanted", "devices", "verdict", "found"),
        [
            ("auto", [], "ok", "the CPU, 2 threads (torch 2.15)"),
            ("cpu", [], "ok", "the CPU, 2 threads (torch 2.15)"),
            ("auto", ["H100"], "ok", "cuda:0 H100 (torch 2.15)"),
            ("cuda", ["H100"], "ok", "cuda:0 H100 (torch 2.15)"),
            ("cuda:1", ["H100"], "fail", "MGEO_DEVICE = cuda:1, but torch 2.15 sees cuda:0 H100"),
            ("cuda", [], "fail", "MGEO_DEVICE = cuda, but torch 2.15 sees no CUDA device"),
        ],
    )
    def test_the_device_of_the_settings_must_be_there(self, wanted, devices, verdict, found):
        """`auto` takes what there is."""
        cuda = SimpleNamespace(is_available=lambda: bool(devices), device_count=lambda: len(devices), get_device_name=devices.__getitem__)
        torch = SimpleNamespace(cuda=cuda, __version__="2.15", get_num_threads=lambda: 2)
        assert verdict_of(check_device(wanted, torch)) == (verdict, found)

    def test_a_machine_without_a_gpu_is_well(self):
        """The reason is told."""
        finding = check_nvml("auto", lambda: (NullGpuReader(), "no driver"))
        assert verdict_of(finding) == ("ok", "no GPU is watched (MGEO_GPU=auto): no driver")

    def test_gpus_that_can_be_watched_are_named(self):
        """By index, name and id."""
        reader = FakeGpuReader([(GpuDevice(hw_id="GPU-1", index=0, name="H100"),)])
        assert verdict_of(check_nvml("auto", lambda: (reader, ""))) == ("ok", "0 H100 GPU-1")

    def test_a_gpu_that_must_be_watched_and_cannot_is_a_failure(self):
        """MGEO_GPU=nvml insists."""

        def refuse():
            raise StartupError("MGEO_GPU=nvml, but there is none")

        assert verdict_of(check_nvml("nvml", refuse)) == ("fail", "MGEO_GPU=nvml, but there is none")

    def test_a_gpu_that_stops_answering_is_a_warning(self):
        """The service goes on without its figures."""

        class Lost(NullGpuReader):
            def read(self):
                raise GpuUnavailable("the GPU fell off the bus", "restart the machine")

        assert check_nvml("auto", lambda: (Lost(), "")) == warn("nvml", "the GPU fell off the bus", "restart the machine")


class TestFiles:
    def test_a_folder_that_can_be_written_is_well_and_left_as_it_is(self, tmp_path):
        """Nothing stays behind."""
        (tmp_path / "logs").mkdir()
        assert check_data_folder(tmp_path) == ok("data folder", f"{tmp_path} can be written")
        assert check_log_folder(tmp_path) == ok("log folder", f"{tmp_path / 'logs'} can be written")
        assert [path.name for path in tmp_path.iterdir()] == ["logs"]

    def test_a_relative_folder_that_is_there_is_said_to_be_there(self, tmp_path, monkeypatch):
        """The default is one."""
        monkeypatch.chdir(tmp_path)
        (tmp_path / "var").mkdir()
        assert check_data_folder(Path("var")) == ok("data folder", "var can be written")

    def test_a_folder_that_can_be_made_is_well_and_not_made(self, tmp_path):
        """The first start makes it."""
        folder = tmp_path / "a" / "b"
        assert check_data_folder(folder) == ok("data folder", f"{folder} is not there yet and can be made")
        assert not (tmp_path / "a").exists()

    def test_a_file_in_the_place_of_the_folder_is_a_failure(self, tmp_path):
        """Nothing can be made below it."""
        (tmp_path / "var").write_text("")
        assert verdict_of(check_data_folder(tmp_path / "var")) == ("fail", f"{tmp_path / 'var'} is a file, not a folder")

    def test_a_folder_that_cannot_be_written_is_a_failure(self):
        """A mode alone does not tell: /proc can be written by nobody."""
        finding = check_data_folder(Path("/proc"))
        assert finding.verdict is Verdict.FAIL
        assert finding.found.startswith("/proc cannot be written (")
        assert "MGEO_DATA_DIR" in finding.fix

    @pytest.mark.parametrize(
        ("free", "verdict", "found"),
        [
            (10 * 1024**3, "ok", "10.0 GiB free on the disk of {}; log and store take 3.0 GiB at most"),
            (2 * 1024**3, "warn", "2.0 GiB free on the disk of {}; log and store may grow to 3.0 GiB"),
            (100 * 1024**2, "fail", "100.0 MiB free on the disk of {}"),
            (512, "fail", "512 bytes free on the disk of {}"),
            (3 * 1024**4, "ok", "3.0 TiB free on the disk of {}; log and store take 3.0 GiB at most"),
        ],
    )
    def test_the_disk_must_have_room_for_what_may_grow(self, tmp_path, free, verdict, found):
        """By the limits of the settings."""
        finding = check_disk(tmp_path / "var", log_max_bytes=1024**3, store_max_bytes=2 * 1024**3, free_bytes=lambda _: free)
        assert verdict_of(finding) == (verdict, found.format(tmp_path))

    def test_a_store_that_is_not_there_yet_is_well(self, tmp_path):
        """And is not made by looking."""
        assert check_store(tmp_path).verdict is Verdict.OK
        assert list(tmp_path.iterdir()) == []

    def test_a_sound_store_is_well_also_while_it_is_written(self, tmp_path):
        """In WAL a reader disturbs nobody."""
        path = tmp_path / "telemetry.db"
        with closing(sqlite3.connect(path)) as writer:
            writer.execute("PRAGMA journal_mode = WAL")
            writer.execute("CREATE TABLE t (x)")
            writer.execute("INSERT INTO t VALUES (1)")
            finding = check_store(tmp_path)
        assert finding.verdict is Verdict.OK
        assert finding.found.endswith(", whole")

    @pytest.mark.parametrize("content", [b"this is no database at all" * 100, None])
    def test_a_damaged_store_is_a_failure(self, tmp_path, content):
        """Both one that is none, and one with a broken page."""
        path = tmp_path / "telemetry.db"
        if content is None:
            with closing(sqlite3.connect(path)) as connection:
                connection.execute("CREATE TABLE t (x)")
                connection.execute("CREATE INDEX i ON t (x)")
                connection.executemany("INSERT INTO t VALUES (?)", [(str(number) * 20,) for number in range(2_000)])
                connection.commit()
            content = path.read_bytes()
            content = content[:8192] + os.urandom(4096) + content[12288:]
        path.write_bytes(content)
        finding = check_store(tmp_path)
        assert finding.verdict is Verdict.FAIL
        assert "move the file aside" in finding.fix

    def test_a_private_key_is_well(self, tmp_path):
        """One that is not there yet is made at the first start."""
        assert check_hash_key(tmp_path, None).verdict is Verdict.OK
        (tmp_path / "hash.key").write_bytes(b"x" * 32)
        (tmp_path / "hash.key").chmod(0o600)
        assert verdict_of(check_hash_key(tmp_path, None)) == ("ok", f"{tmp_path / 'hash.key'}, mode 0600")

    def test_a_key_others_can_read_is_a_warning(self, tmp_path):
        """They could try out addresses against the hashes."""
        key = tmp_path / "key"
        key.write_bytes(b"x" * 32)
        key.chmod(0o644)
        finding = check_hash_key(tmp_path, key)
        assert finding.found.startswith(f"{key} has mode 0644: others can try out addresses")
        assert (finding.verdict, finding.fix) == (Verdict.WARN, f"chmod 600 {key}")

    def test_a_key_file_that_is_named_must_be_there(self, tmp_path):
        """It is not made."""
        assert verdict_of(check_hash_key(tmp_path, tmp_path / "none")) == ("fail", f"MGEO_HASH_KEY_FILE = {tmp_path / 'none'} is not there")


class TestService:
    def test_settings_that_are_right_are_counted(self):
        """All of them."""
        finding, settings = check_settings(Settings.load)
        assert verdict_of(finding) == ("ok", f"all {len(Settings.model_fields)} are valid")
        assert isinstance(settings, Settings)

    def test_settings_that_are_wrong_are_named(self):
        """As the start would."""
        finding, settings = check_settings(lambda: Settings.load(port=99_999))
        assert finding.verdict is Verdict.FAIL
        assert "MGEO_PORT = 99999" in finding.found
        assert settings is None

    def test_misspelt_variables_are_a_warning(self):
        """They have no effect, which nobody would notice."""
        assert check_spelling(iter([])).verdict is Verdict.OK
        assert verdict_of(check_spelling(iter(["MGEO_PROT is not a setting"]))) == ("warn", "MGEO_PROT is not a setting")

    def test_a_model_that_answers_is_well(self):
        """With the time it takes to load and to answer."""
        model = FakeModel()
        finding = check_model("fake", lambda: model, monotonic=Readings(0.0, 2.0, 3.0, 3.005))
        assert verdict_of(finding) == ("ok", "fake 1 on cpu, loaded in 2.00 s, answers a pair in 5.00 ms")
        assert (model.warmups, len(model.batches)) == (1, 1)

    def test_a_model_that_cannot_be_loaded_is_a_failure(self):
        """With the loader's own words."""

        def load():
            raise ModelLoadError("weights are missing")

        assert verdict_of(check_model("/m", load)) == ("fail", "weights are missing")

    def test_a_model_that_raises_is_a_failure(self):
        """Whatever it raises."""
        assert verdict_of(check_model("/m", lambda: FakeModel(error=RuntimeError("no")))) == ("fail", "/m failed: RuntimeError: no")

    def test_a_free_port_is_well(self):
        """Also one that was just used."""
        with closing(socket.create_server(("127.0.0.1", 0))) as server:
            port = server.getsockname()[1]
        assert verdict_of(check_port("127.0.0.1", port, alive=bool, owner=lambda _: None)) == ("ok", f"127.0.0.1:{port} is free")
        assert check_port("127.0.0.1", 0, alive=bool, owner=lambda _: None).verdict is Verdict.OK
        if socket.has_dualstack_ipv6():
            assert check_port("::1", 0, alive=bool, owner=lambda _: None).verdict is Verdict.OK

    @pytest.mark.parametrize(
        ("alive", "verdict", "found"),
        [
            (True, "ok", "mgeo is already running on 127.0.0.1:{} (python (pid 7))"),
            (False, "fail", "127.0.0.1:{} is taken by python (pid 7)"),
        ],
    )
    def test_a_taken_port_is_named_with_its_owner(self, alive, verdict, found):
        """The owner may be mgeo itself."""
        with closing(socket.create_server(("127.0.0.1", 0))) as server:
            port = server.getsockname()[1]
            finding = check_port("127.0.0.1", port, alive=lambda: alive, owner=lambda _: "python (pid 7)")
        assert verdict_of(finding) == (verdict, found.format(port))

    def test_an_address_of_another_machine_is_a_failure(self):
        """Nobody has the port, and still it cannot be used."""
        finding = check_port("192.0.2.1", 8000, alive=bool, owner=lambda _: None)
        assert finding.verdict is Verdict.FAIL
        assert finding.found.startswith("192.0.2.1:8000 cannot be used (")


class Collector(http.server.BaseHTTPRequestHandler):
    """Takes what is sent, with the status and Date it was told."""

    status, date = 200, "Sun, 22 Nov 2026 12:00:00 GMT"

    def do_POST(self):
        self.server.asked.append(
            (self.path, self.headers.get("x-tenant"), self.headers["Content-Type"], self.rfile.read(int(self.headers["Content-Length"])))
        )
        self.send_response_only(self.status)
        if self.date:
            self.send_header("Date", self.date)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


@contextmanager
def collecting(**told):
    server = http.server.HTTPServer(("127.0.0.1", 0), type("Told", (Collector,), told))
    server.asked = []
    thread = threading.Thread(target=server.serve_forever, args=[0.01])
    thread.start()
    try:
        yield server, f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


NOON = 1_795_348_800.0


class TestTelemetry:
    @pytest.mark.parametrize(
        ("environ", "verdict", "found"),
        [
            ({}, "ok", "every inference gets its span"),
            ({"OTEL_TRACES_SAMPLER": "always_on"}, "ok", "every inference gets its span"),
            (
                {"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.1"},
                "warn",
                "OTEL_TRACES_SAMPLER = traceidratio: only 0.1 of all traces are kept, so traces no longer match metrics, log and store one to one",
            ),
            (
                {"OTEL_TRACES_SAMPLER": "always_off"},
                "warn",
                "OTEL_TRACES_SAMPLER = always_off: no trace is kept, so traces no longer match metrics, log and store one to one",
            ),
            (
                {"OTEL_TRACES_SAMPLER": "parentbased_always_on"},
                "warn",
                (
                    "OTEL_TRACES_SAMPLER = parentbased_always_on: a caller's traceparent decides whether a trace is kept, "
                    "so traces no longer match metrics, log and store one to one"
                ),
            ),
            (
                {"OTEL_SDK_DISABLED": "True"},
                "warn",
                "OTEL_SDK_DISABLED = true: there are no spans, nothing leaves by OTLP and /metrics is empty; log and store go on",
            ),
        ],
    )
    def test_a_sampler_that_drops_traces_is_said_plainly(self, environ, verdict, found):
        """Anything but AlwaysOn breaks the parity of the signals."""
        assert verdict_of(check_sampler(environ)) == (verdict, found)

    @pytest.mark.parametrize(
        ("environ", "expected"),
        [
            ({}, []),
            (
                {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4317"},
                [("http://c:4317", False, {}, ("traces", "metrics", "logs"))],
            ),
            (
                {
                    "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318/",
                    "OTEL_EXPORTER_OTLP_HEADERS": "x-tenant=a%20b, y = 1",
                    "OTEL_LOGS_EXPORTER": "none",
                },
                [
                    ("http://c:4318/v1/traces", True, {"x-tenant": "a b", "y": "1"}, ("traces",)),
                    ("http://c:4318/v1/metrics", True, {"x-tenant": "a b", "y": "1"}, ("metrics",)),
                ],
            ),
            (
                {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "https://t/x", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf"},
                [("https://t/x", True, {}, ("traces",))],
            ),
        ],
    )
    def test_endpoints_follow_the_standard_variables(self, environ, expected):
        """Each once, with the signals that go there."""
        found = endpoints(
            environ,
            wanted=lambda signal: otlp_wanted(signal, environ),
            over_http=lambda signal: otlp_over_http(signal, environ),
        )
        assert [(each.url, each.over_http, each.headers, each.signals) for each in found] == expected

    @pytest.mark.parametrize(
        ("url", "over_http", "parts"),
        [
            ("http://c:4318/v1/traces", True, ("c", 4318, "/v1/traces", False)),
            ("https://c", True, ("c", 443, "/", True)),
            ("http://c", True, ("c", 80, "/", False)),
            ("c:4317", False, ("c", 4317, "/", False)),
            ("http://c", False, ("c", 4317, "/", False)),
        ],
    )
    def test_an_endpoint_is_taken_apart(self, url, over_http, parts):
        """Those of gRPC may lack the scheme; ports follow from the protocol."""
        endpoint = Endpoint(url=url, over_http=over_http, headers={}, signals=("traces",))
        assert (endpoint.host, endpoint.port, endpoint.path, endpoint.tls) == parts

    def test_an_endpoint_that_takes_an_empty_export_is_well(self):
        """It was sent nothing, with the headers of the environment."""
        with collecting() as (server, url):
            endpoint = Endpoint(url=f"{url}/v1/traces", over_http=True, headers={"x-tenant": "a"}, signals=("traces",))
            finding = check_otlp(endpoint, unix_seconds=lambda: NOON + 1.0)
            assert verdict_of(finding) == ("ok", f"{url}/v1/traces (traces) takes an empty export")
            assert server.asked == [("/v1/traces", "a", "application/x-protobuf", b"")]

    @pytest.mark.parametrize(
        ("ours", "found"), [(NOON + 100, "its clock is -100 s from ours"), (NOON - 100, "its clock is +100 s from ours")]
    )
    def test_an_endpoint_whose_clock_differs_is_a_warning(self, ours, found):
        """Spans of two machines would no longer stand in their order."""
        with collecting() as (_, url):
            finding = check_otlp(Endpoint(url=url, over_http=True, headers={}, signals=("logs",)), unix_seconds=lambda: ours)
        assert finding.verdict is Verdict.WARN
        assert found in finding.found

    def test_an_endpoint_without_a_date_is_not_judged_by_it(self):
        """Not every server sends one."""
        with collecting(date=None) as (_, url):
            assert (
                check_otlp(Endpoint(url=url, over_http=True, headers={}, signals=("logs",)), unix_seconds=lambda: 0).verdict is Verdict.OK
            )

    def test_an_endpoint_that_refuses_is_a_warning(self):
        """The service runs without it."""
        with collecting(status=404) as (_, url):
            finding = check_otlp(Endpoint(url=url, over_http=True, headers={}, signals=("logs",)), unix_seconds=lambda: NOON)
        assert verdict_of(finding) == ("warn", f"{url} (logs) does not take telemetry: it answered 404 Not Found")

    @pytest.mark.parametrize("url", ["http://127.0.0.1:9", "https://127.0.0.1:9"])
    def test_an_endpoint_where_nothing_listens_is_a_warning(self, url):
        """With how to mend it."""
        finding = check_otlp(Endpoint(url=url, over_http=True, headers={}, signals=("traces", "logs")), unix_seconds=lambda: 0)
        assert finding.verdict is Verdict.WARN
        assert finding.found.startswith(f"{url} (traces, logs) does not take telemetry: ")
        assert "OTEL_EXPORTER_OTLP_ENDPOINT" in finding.fix

    def test_an_endpoint_that_speaks_grpc_is_well(self):
        """A channel could be opened."""
        with ThreadPoolExecutor(1) as pool:
            server = grpc.server(pool)
            port = server.add_insecure_port("127.0.0.1:0")
            server.start()
            finding = check_otlp(
                Endpoint(url=f"http://127.0.0.1:{port}", over_http=False, headers={}, signals=("traces",)), unix_seconds=lambda: 0
            )
            server.stop(None).wait()
        assert verdict_of(finding) == ("ok", f"http://127.0.0.1:{port} (traces) speaks gRPC")

    @pytest.mark.parametrize("scheme", ["http", "https"])
    def test_an_endpoint_that_does_not_speak_grpc_is_a_warning(self, scheme):
        """Within the bound of the check."""
        endpoint = Endpoint(url=f"{scheme}://127.0.0.1:9", over_http=False, headers={}, signals=("traces",))
        finding = check_otlp(endpoint, unix_seconds=lambda: 0, timeout=0.2)
        assert finding.found.endswith("does not take telemetry: no gRPC connection within 0.2 s")
