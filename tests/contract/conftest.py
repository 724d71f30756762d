"""What the suites need from elsewhere."""

from tests.stack.urls import stack_urls

__all__ = ["stack_urls"]
