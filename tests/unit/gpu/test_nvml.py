"""The NVML reader through NVIDIA's true bindings, against a small NVML of our own (`tests/native/nvml_stub.c`)."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pytest

from service.gpu import GpuDevice

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[3]
NATIVE = ROOT / "tests" / "native"

NOT_SUPPORTED, NO_PERMISSION, DRIVER_NOT_LOADED, LOST, RESET_REQUIRED, VERSION_MISMATCH, NO_DATA, UNKNOWN = 3, 4, 9, 15, 16, 18, 21, 999
NOT_AVAILABLE = 2**64 - 1


@dataclass(frozen=True, kw_only=True)
class StubDevice:
    """A line of the stub's state file: NVML's return codes and the numbers of one device."""

    code: int = 0
    memory_code: int = 0
    rates_code: int = 0
    total: int = 25_757_220_864
    used: int = 6_439_305_216
    gpu: int = 37
    uuid: str = "GPU-8a3f0e52-0001"
    name: str = "NVIDIA GeForce RTX 4090 D"

    def line(self) -> str:
        return f"{self.code} {self.memory_code} {self.rates_code} {self.total} {self.used} {self.gpu} {self.uuid} {self.name}"


CARD = StubDevice()
SECOND = StubDevice(uuid="GPU-8a3f0e52-0002", total=1000, used=1000, gpu=100)

CARD_READ = GpuDevice(
    hw_id="GPU-8a3f0e52-0001",
    index=0,
    name="NVIDIA GeForce RTX 4090 D",
    vendor="nvidia",
    memory_used_bytes=6_439_305_216,
    memory_limit_bytes=25_757_220_864,
    utilization=0.37,
)
SECOND_READ = GpuDevice(
    hw_id="GPU-8a3f0e52-0002",
    index=1,
    name="NVIDIA GeForce RTX 4090 D",
    vendor="nvidia",
    memory_used_bytes=1000,
    memory_limit_bytes=1000,
    utilization=1.0,
)


class Session:
    """`nvml_session.py` in a process whose first libnvidia-ml.so.1 is the one in `library`."""

    def __init__(self, library: Path, state: Path) -> None:
        self._state = state
        self.set_up(CARD)
        self._process = subprocess.Popen(
            [sys.executable, "-W", "error", str(NATIVE / "nvml_session.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "LD_LIBRARY_PATH": str(library), "NVML_STUB_STATE": str(state), "PYTHONPATH": str(ROOT)},
        )

    def __enter__(self) -> Self:
        """The process is started by the constructor."""
        return self

    def __exit__(self, *_: object) -> None:
        """End it by the end of its stdin, within a deadline."""
        self._process.communicate(timeout=10)

    def set_up(self, *devices: StubDevice, init_code: int = 0) -> None:
        """What NVML says from now on; replaced in one step, for the process may be reading."""
        fresh = self._state.with_suffix(".new")
        fresh.write_text("\n".join([str(init_code), *(device.line() for device in devices)]) + "\n")
        fresh.replace(self._state)

    def command(self, line: str) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer

    def read(self) -> list[GpuDevice]:
        return [GpuDevice(**device) for device in self.command("read")["devices"]]

    def calls(self) -> list[str]:
        return self._state.with_name(self._state.name + ".calls").read_text().split()


def build(folder: Path, *flags: str) -> Path:
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler (cc) to build the NVML stub with")
    subprocess.run(
        [compiler, "-Wall", "-Werror", "-shared", "-fPIC", *flags, "-o", str(folder / "libnvidia-ml.so.1"), str(NATIVE / "nvml_stub.c")],
        check=True,
        timeout=60,
    )
    return folder


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("driver"))


@pytest.fixture(scope="module")
def old_driver(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("old-driver"), "-DOLD_DRIVER")


@pytest.fixture(scope="module")
def no_driver(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library that cannot be loaded, and is found before one that could: so on a machine with a GPU too."""
    folder = tmp_path_factory.mktemp("no-driver")
    (folder / "libnvidia-ml.so.1").write_text("this is not a shared library\n" * 100)
    return folder


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "nvml-state"


@pytest.fixture
def session(driver: Path, state: Path) -> Iterator[Session]:
    with Session(driver, state) as session:
        yield session


def test_every_field_comes_from_the_driver_in_base_units(session: Session) -> None:
    """Bytes and ratios, the driver's UUID and the card's name; a device without memory left is used by 1.0."""
    session.set_up(CARD, SECOND)

    card, second = session.read()

    assert card == CARD_READ
    assert card.memory_utilization == 0.25
    assert second == SECOND_READ
    assert second.memory_utilization == 1.0


def test_every_read_asks_again_but_initialises_once(session: Session) -> None:
    """New numbers show in the next read, for which NVML is not initialised anew."""
    session.read()
    session.set_up(replace(CARD, used=0, gpu=0))

    assert session.read() == [replace(CARD_READ, memory_used_bytes=0, utilization=0.0)]
    assert session.calls() == ["init"]


def test_a_machine_that_has_nvml_but_no_device_reads_as_empty(session: Session) -> None:
    """No devices is an answer, not an error."""
    session.set_up()

    assert session.read() == []


def test_functions_an_old_driver_lacks_leave_their_fields_out(old_driver: Path, state: Path) -> None:
    """Without the functions for utilization, UUID and name, memory is still told and the index identifies the device."""
    with Session(old_driver, state) as session:
        assert session.read() == [
            GpuDevice(
                hw_id="nvidia-0",
                index=0,
                name=None,
                memory_used_bytes=6_439_305_216,
                memory_limit_bytes=25_757_220_864,
                utilization=None,
            ),
        ]
        assert session.calls() == ["init"]


@pytest.mark.parametrize("code", [NOT_SUPPORTED, NO_PERMISSION, NO_DATA])
def test_questions_a_device_does_not_answer_leave_their_fields_out(session: Session, code: int) -> None:
    """Not supported, not permitted or without data: None, and the device is not taken for a broken one."""
    session.set_up(replace(CARD, memory_code=code, rates_code=code))

    (device,) = session.read()

    assert device == replace(CARD_READ, memory_used_bytes=None, memory_limit_bytes=None, utilization=None)
    assert device.memory_utilization is None
    assert session.calls() == ["init"]


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        ({"total": 0, "used": 0}, {"memory_used_bytes": None, "memory_limit_bytes": None}),
        ({"used": NOT_AVAILABLE}, {"memory_used_bytes": None, "memory_limit_bytes": None}),
        ({"gpu": 101}, {"utilization": None}),
        ({"gpu": 2**32 - 1}, {"utilization": None}),
    ],
)
def test_numbers_no_card_can_have_are_left_out(session: Session, numbers: dict[str, int], expected: dict[str, None]) -> None:
    """A driver's mark for 'not available' is never published as a measurement."""
    session.set_up(replace(CARD, **numbers))  # type: ignore[arg-type]  # only integer fields are replaced

    assert session.read() == [replace(CARD_READ, **expected)]  # type: ignore[arg-type]  # only fields that may be None


@pytest.mark.parametrize(
    ("code", "message"),
    [(LOST, "NVML says: GPU is lost"), (RESET_REQUIRED, "NVML says: GPU requires restart"), (UNKNOWN, "NVML says: Unknown Error")],
)
def test_a_device_that_fails_once_is_read_again_after_a_fresh_start(session: Session, code: int, message: str) -> None:
    """The failed read raises; the next initialises NVML anew, without which the handle would stay lost, and succeeds."""
    assert session.read() == [CARD_READ]

    session.set_up(replace(CARD, code=code))
    assert session.command("read") == {"raised": "GpuUnavailable", "message": message}

    session.set_up(CARD)
    assert session.read() == [CARD_READ]
    assert session.calls() == ["init", "shutdown", "init"]


def test_a_device_lost_in_the_middle_of_its_questions_is_no_half_sample(session: Session) -> None:
    """A failure at the second question drops the device rather than leaving its fields out."""
    session.set_up(replace(CARD, memory_code=LOST))

    assert session.command("read") == {"raised": "GpuUnavailable", "message": "NVML says: GPU is lost"}


def test_a_lost_device_does_not_hide_the_living_ones(session: Session) -> None:
    """The others are read at every read, and fresh starts become rare: after failures 1, 2, 4 and 8 of ten."""
    session.set_up(replace(CARD, code=LOST), SECOND)

    assert [session.read() for _ in range(10)] == [[SECOND_READ]] * 10
    assert session.calls() == ["init", "shutdown"] * 4 + ["init"]

    session.set_up(CARD, SECOND)
    session.command("close")
    assert session.read() == [CARD_READ, SECOND_READ]


def test_a_device_that_came_back_and_is_lost_again_is_sought_at_once(session: Session) -> None:
    """A good read of all devices ends the rarity of fresh starts: one follows the next loss immediately."""
    for card, expected in [
        (replace(CARD, code=LOST), [SECOND_READ]),
        (replace(CARD, code=LOST), [SECOND_READ]),
        (CARD, [CARD_READ, SECOND_READ]),
        (replace(CARD, code=LOST), [SECOND_READ]),
        (CARD, [CARD_READ, SECOND_READ]),
    ]:
        session.set_up(card, SECOND)
        assert session.read() == expected


def test_a_device_of_somebody_else_is_passed_over(session: Session) -> None:
    """A card this container may not use is neither read nor a reason to start afresh."""
    session.set_up(replace(CARD, code=NO_PERMISSION), SECOND)

    assert [session.read() for _ in range(3)] == [[SECOND_READ]] * 3
    assert session.calls() == ["init"]


def test_a_machine_where_no_device_may_be_used_says_so(session: Session) -> None:
    """All devices forbidden is an error with its reason, not a machine without GPUs."""
    session.set_up(replace(CARD, code=NO_PERMISSION))

    assert session.command("read") == {"raised": "GpuUnavailable", "message": "this user may not use the NVIDIA driver"}


def test_closing_shuts_nvml_down_once_and_a_later_read_opens_again(session: Session) -> None:
    """Closing twice, or before anything was read, is harmless."""
    session.command("close")
    session.read()
    session.command("close")
    session.command("close")

    assert session.calls() == ["init", "shutdown"]
    assert session.read() == [CARD_READ]
    assert session.calls() == ["init", "shutdown", "init"]


@pytest.mark.parametrize("mode", ["auto", "nvml"])
def test_a_readable_gpu_is_read_in_both_modes(session: Session, mode: str) -> None:
    """The NVML reader, with no reason for a null one."""
    assert session.command(f"open {mode}") == {"reader": "NvmlGpuReader", "reason": ""}
    assert session.read() == [CARD_READ]


def test_auto_falls_back_to_the_null_reader_without_nvml(no_driver: Path, state: Path) -> None:
    """Nothing to load: no devices, and a reason for the doctor."""
    with Session(no_driver, state) as session:
        assert session.command("open auto") == {"reader": "NullGpuReader", "reason": "the library libnvidia-ml.so.1 was not found"}
        assert session.read() == []


def test_nvml_mode_without_nvml_refuses_to_start(no_driver: Path, state: Path) -> None:
    """The message names the setting, the cause and both ways out."""
    with Session(no_driver, state) as session:
        assert session.command("open nvml") == {
            "raised": "StartupError",
            "message": (
                "MGEO_GPU=nvml, but the library libnvidia-ml.so.1 was not found. To mend it, install the NVIDIA driver "
                "(a container also needs the NVIDIA container toolkit and `--gpus all`); or set MGEO_GPU=auto to run without GPU readings."
            ),
        }


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (DRIVER_NOT_LOADED, "the NVIDIA kernel driver is not loaded"),
        (VERSION_MISMATCH, "libnvidia-ml.so.1 and the loaded kernel driver have different versions"),
        (NO_PERMISSION, "this user may not use the NVIDIA driver"),
        (UNKNOWN, "NVML says: Unknown Error"),
    ],
)
def test_an_nvml_that_cannot_be_initialised_says_why(session: Session, code: int, reason: str) -> None:
    """Each usual cause has words of its own; an unusual one has the driver's."""
    session.set_up(init_code=code)

    assert session.command("open auto") == {"reader": "NullGpuReader", "reason": reason}
    assert session.command("open nvml")["message"].startswith(f"MGEO_GPU=nvml, but {reason}. To mend it, ")


def test_an_nvml_without_devices_counts_as_none(session: Session) -> None:
    """A driver without a card gives the null reader, or refuses in nvml mode, and NVML is shut down again."""
    session.set_up()

    assert session.command("open auto") == {"reader": "NullGpuReader", "reason": "NVML works but lists no GPU"}
    assert session.command("open nvml")["raised"] == "StartupError"
    assert session.calls() == ["init", "shutdown", "init", "shutdown"]
