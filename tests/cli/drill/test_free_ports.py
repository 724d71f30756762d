"""Ports for a stack of the drill's own."""

from __future__ import annotations

import socket

import pytest

from cli.drill.free_ports import NoPorts, free_ports


def test_they_are_different_and_can_be_listened_on():
    """All at the same time."""
    ports = free_ports(20)

    assert len(set(ports)) == 20
    servers = [socket.create_server(("127.0.0.1", port)) for port in ports]
    for server in servers:
        server.close()


def test_none_is_one_that_an_outgoing_connection_could_be_given(tmp_path):
    """Or the drill's own load would have it when its process comes back."""
    kernel = tmp_path / "range"
    kernel.write_text("20000\t60999\n")

    ports = free_ports(200, range_file=kernel)

    assert all(10_240 <= port < 20_000 for port in ports)


@pytest.mark.parametrize("text", ["", "many", "-"])
def test_what_the_kernel_does_not_say_is_as_usual(tmp_path, text):
    """The file may be another system's, or not there at all."""
    kernel = tmp_path / "range"
    kernel.write_text(text)

    assert all(10_240 <= port < 32_768 for port in (*free_ports(50, range_file=kernel), *free_ports(50, range_file=tmp_path / "gone")))


def test_a_kernel_that_gives_away_all_of_them_leaves_no_choice(tmp_path):
    """Then any free one will do."""
    kernel = tmp_path / "range"
    kernel.write_text("1024\t65535\n")

    assert len(set(free_ports(20, range_file=kernel))) == 20


def test_one_that_is_taken_is_not_given(tmp_path):
    """There are two thousand to choose from, and all of them are asked for, so that chance cannot pass over it."""
    kernel = tmp_path / "range"
    kernel.write_text(f"{10_240 + 2_000}\t60999\n")
    with socket.create_server(("127.0.0.1", free_ports(1, range_file=kernel)[0])) as server:
        taken = server.getsockname()[1]

        with pytest.raises(NoPorts, match=r"there are no 2000 free ports on 127\.0\.0\.1; end something"):
            free_ports(2_000, range_file=kernel)
        assert taken not in free_ports(1_000, range_file=kernel)
