"""The signature of a robot."""

from __future__ import annotations

import httpx

from dingtalk.signature import signed


def test_the_signature_is_the_known_one():
    """HMAC-SHA256 over timestamp, line end and secret, in base64."""
    assert signed("SEC000", now=1_700_000_000.123) == {"timestamp": "1700000000123", "sign": "sfIVrdfmjPzssgIjwXIb+NnWxgSLBOPLKTaeh8eheC0="}


def test_it_is_encoded_once_in_an_address():
    """Twice is the classic mistake."""
    parameters = signed("SEC1", now=0.0)
    url = str(httpx.URL("https://oapi.dingtalk.com/robot/send", params=parameters))
    assert "%25" not in url
    assert httpx.URL(url).params["sign"] == parameters["sign"]
