"""The address of a service."""

from __future__ import annotations

import pytest

from cli.service_url import ServiceUrl


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("http://127.0.0.1:8000", ServiceUrl(host="127.0.0.1", port=8000, tls=False, prefix="")),
        ("http://localhost", ServiceUrl(host="localhost", port=80, tls=False, prefix="")),
        ("https://geo.example/mgeo/", ServiceUrl(host="geo.example", port=443, tls=True, prefix="/mgeo")),
        ("http://[::1]:9000/", ServiceUrl(host="::1", port=9000, tls=False, prefix="")),
    ],
)
def test_a_url_is_taken_apart(text, url):
    """Host, port, TLS and path."""
    assert ServiceUrl.parse(text) == url


@pytest.mark.parametrize("text", ["", "127.0.0.1:8000", "ftp://host", "http://", "http://host?x=1", "http://host#x"])
def test_what_is_no_address_of_a_service_is_refused(text):
    """With an example of one."""
    with pytest.raises(ValueError, match=r"is not the address of a service; write one such as http://127\.0\.0\.1:8000"):
        ServiceUrl.parse(text)


@pytest.mark.parametrize("text", ["http://host:port", "http://host:99999", "http://[::1"])
def test_a_broken_url_is_refused(text):
    """With the reason."""
    with pytest.raises(ValueError, match="is not a URL: "):
        ServiceUrl.parse(text)


@pytest.mark.parametrize(
    ("text", "loopback"),
    [
        ("http://127.0.0.1:8000", True),
        ("http://127.8.9.1", True),
        ("http://[::1]:8000", True),
        ("http://localhost:8000", True),
        ("http://10.0.0.1", False),
        ("http://localhost.example", False),
        ("http://geo.example", False),
    ],
)
def test_only_surely_local_hosts_are_loopback(text, loopback):
    """No name but `localhost` is trusted."""
    assert ServiceUrl.parse(text).loopback is loopback


def test_a_url_is_shown_with_its_port():
    """IPv6 addresses in brackets."""
    assert str(ServiceUrl.parse("https://[::1]/x")) == "https://[::1]:443/x"
    assert str(ServiceUrl.parse("http://localhost")) == "http://localhost:80"
