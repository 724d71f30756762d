"""Where the running stack is that tests marked `stack` talk to."""

from __future__ import annotations

import json
import os

import pytest

from tests.stack.sender import StackUrls

VARIABLE = "STACK_URLS"


@pytest.fixture(scope="session")
def stack_urls() -> StackUrls:
    """The stack that whoever runs these tests has brought up, told by a JSON object with the fields of `StackUrls`."""
    given = os.environ.get(VARIABLE)
    assert given, f"{VARIABLE} does not tell where the stack is; run `make test-stack`, or leave these tests out with -m 'not stack'"
    return StackUrls(**json.loads(given))
