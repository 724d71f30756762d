"""What is said of the machine."""

from __future__ import annotations

import os
from datetime import UTC, datetime

from benchmarks.machine import Machine, cpu_model, usable_cores

CPUINFO = """processor\t: 0
vendor_id\t: AuthenticAMD
model name\t: AMD EPYC 7B13
processor\t: 1
model name\t: AMD EPYC 7B13
"""


def test_the_cpu_is_named_by_the_kernel():
    """As the first processor says it."""
    assert cpu_model(CPUINFO) == "AMD EPYC 7B13"


def test_a_kernel_that_names_no_model_is_no_error():
    """On ARM there is none."""
    assert cpu_model("processor\t: 0\nBogoMIPS\t: 50.00\n") == "unknown CPU"


def test_the_sentence_names_everything_a_figure_depends_on():
    """The day, the machine, the versions, and how busy it was."""
    machine = Machine(cores=2, cpu="AMD EPYC", system="Linux 6.1.0", python="CPython 3.11.7", packages=("fastapi 0.165.0", "torch 2.15.0"))
    at = datetime(2026, 3, 4, 5, 6, tzinfo=UTC)
    assert machine.sentence(at=at, load_before=0.44, load_after=1.28) == (
        "Measured on 2026-03-04 on 2 cores (AMD EPYC), Linux 6.1.0, CPython 3.11.7, fastapi 0.165.0, torch 2.15.0. "
        "Load average of one minute: 0.4 before, 1.3 after, the benchmark's own share included."
    )


def test_this_machine_can_be_described(tmp_path):
    """From the kernel's files and the installed packages."""
    (tmp_path / "cpuinfo").write_text(CPUINFO)
    machine = Machine.this(cores=3, proc=tmp_path)
    assert (machine.cores, machine.cpu) == (3, "AMD EPYC 7B13")
    assert [name.split()[0] for name in machine.packages] == [
        "fastapi",
        "uvicorn",
        "opentelemetry-sdk",
        "opentelemetry-instrumentation-fastapi",
        "grpcio",
        "torch",
    ]


def test_usable_cores_are_those_of_the_affinity():
    """A container or taskset may leave fewer than the machine has."""
    assert usable_cores() == sorted(os.sched_getaffinity(0))
