"""The disk is looked at before anything is kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.stack.disk import check_disk, disk_need, size_text
from cli.stack.profile import Profile
from service.errors import StartupError
from service.settings import Settings

GIB = 1_073_741_824


@pytest.mark.parametrize(
    ("profile", "bounded", "retained"),
    [
        (Profile.LITE, 3 * GIB, 7 * 20 * 1_048_576),
        (Profile.AGENT, 4 * GIB + 3 * 403_701_760, 0),
        (Profile.FULL, 4 * GIB + 3 * 403_701_760, 7 * 20 * 1_048_576 + 7 * 86_400 * 3_000),
    ],
)
def test_what_a_profile_may_keep(profile, bounded, retained):
    """Bounds of files and queues, and the stores' retention at a request a second."""
    need = disk_need(profile, Settings.load())
    assert (need.bounded, need.retained) == (bounded, retained)
    assert need.total == bounded + retained


def test_a_large_disk_passes_in_silence():
    """No warning."""
    assert check_disk(Profile.FULL, Settings.load(), Path("/data"), free_bytes=lambda path: 100 * GIB) is None


def test_a_disk_that_may_be_outgrown_is_a_warning_with_what_to_lower():
    """It starts all the same."""
    warning = check_disk(Profile.FULL, Settings.load(), Path("/data"), free_bytes=lambda path: 2 * GIB)
    assert warning.startswith("2.0 GiB free in /data, but logs, embedded store, spool and queues may grow to 5.1 GiB and the stores to")
    assert "MGEO_COLLECTOR_QUEUE_BYTES" in warning


@pytest.mark.parametrize(("profile", "free", "needed"), [(Profile.FULL, GIB - 1, "1.0 GiB"), (Profile.LITE, 1_000_000, "256 MiB")])
def test_a_full_disk_is_refused(profile, free, needed):
    """With the folder and the fix."""
    with pytest.raises(StartupError, match=rf"MGEO_DATA_DIR = /data: .* free there, and --profile {profile} needs {needed} to begin with"):
        check_disk(profile, Settings.load(), Path("/data"), free_bytes=lambda path: free)


def test_the_disk_of_this_machine_can_be_asked(tmp_path):
    """The real one; whatever it answers is a text or nothing."""
    assert isinstance(check_disk(Profile.LITE, Settings.load(), tmp_path), str | None)


def test_sizes_read_well():
    """MiB below a GiB."""
    assert [size_text(size) for size in (5_242_880, 1_610_612_736)] == ["5 MiB", "1.5 GiB"]
