"""The Collector's queues have their disk space before they need it."""

from __future__ import annotations

import errno
import os
import stat

import pytest

from cli.stack.profile import Profile
from cli.stack.queue_space import allocate, missing_space, queue_space, set_aside
from service.errors import StartupError
from tests.full_disk import small_disk

QUEUE = 1_048_576
SPACE = 2_621_440


def test_a_queue_takes_half_as_much_again_and_a_mebibyte():
    """Its B+ tree is not dense."""
    assert queue_space(QUEUE) == SPACE


def test_the_queues_of_a_full_stack_get_blocks_and_keep_their_length(tmp_path):
    """Three files of length 0, which the Collector takes for new ones, readable by the owner alone."""
    folder = tmp_path / "collector"

    assert missing_space(folder, Profile.FULL, QUEUE) == 3 * SPACE
    assert set_aside(folder, Profile.FULL, QUEUE) is None

    files = {file.name: file.stat() for file in folder.iterdir()}
    assert sorted(files) == ["exporter_otlp_http_jaeger_traces", "exporter_otlp_http_loki_logs", "exporter_otlp_http_prometheus_metrics"]
    assert {(file.st_size, stat.S_IMODE(file.st_mode), file.st_blocks * 512 >= SPACE) for file in files.values()} == {(0, 0o600, True)}
    assert missing_space(folder, Profile.FULL, QUEUE) == 0


def test_what_is_in_a_queue_stays(tmp_path):
    """Space is added behind it."""
    file = tmp_path / "exporter_otlp_http_upstream_logs"
    file.write_bytes(b"waiting")

    set_aside(tmp_path, Profile.AGENT, QUEUE)

    assert file.read_bytes() == b"waiting"
    assert file.stat().st_blocks * 512 >= SPACE


def test_the_lite_profile_has_no_queues(tmp_path):
    """Nor a folder for them."""
    assert missing_space(tmp_path / "collector", Profile.LITE, QUEUE) == 0
    assert set_aside(tmp_path / "collector", Profile.LITE, QUEUE) is None
    assert not (tmp_path / "collector").exists()


def test_a_disk_without_the_space_is_refused_with_the_setting(tmp_path):
    """A real one, of five megabytes."""
    with small_disk(tmp_path / "disk", 5_000_000) as disk, pytest.raises(StartupError) as refused:
        set_aside(disk, Profile.FULL, QUEUE)

    assert str(refused.value) == (
        f"MGEO_COLLECTOR_QUEUE_BYTES = 1048576: the queues need 7864320 bytes in {tmp_path / 'disk'}, set aside beforehand "
        "(No space left on device); free some space, or lower it: beyond it the service's spool keeps what waits"
    )


@pytest.mark.parametrize("number", [errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL])
def test_a_file_system_that_cannot_is_a_warning(tmp_path, number):
    """Such as NFS; the stack starts all the same."""

    def cannot(descriptor: int, size: int) -> None:
        raise OSError(number, os.strerror(number))

    warning = set_aside(tmp_path, Profile.FULL, QUEUE, allocate=cannot)

    assert warning is not None
    assert warning.startswith(f"the file system of {tmp_path} cannot set space aside: when that disk is full,")


def test_an_error_of_the_kernel_is_an_error_here(tmp_path):
    """A descriptor that cannot be written."""
    file = tmp_path / "file"
    file.touch()
    descriptor = os.open(file, os.O_RDONLY)
    try:
        with pytest.raises(OSError, match="Bad file descriptor"):
            allocate(descriptor, 4096)
    finally:
        os.close(descriptor)
