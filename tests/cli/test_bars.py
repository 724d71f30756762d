"""Bars of block characters."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.bars import bar, span_bar


@pytest.mark.parametrize(
    ("share", "shown"), [(0.0, ""), (1.0, "████"), (0.5, "██"), (0.001, "▏"), (0.53125, "██▏"), (2.0, "████"), (-1.0, "")]
)
def test_a_bar_is_as_long_as_its_share(share, shown):
    """To an eighth of a character; what is there at all can be seen, what sticks out is cut."""
    assert bar(share, 4) == shown


@pytest.mark.parametrize(
    ("offset", "share", "shown"),
    [(0.0, 1.0, "████"), (0.5, 0.5, "  ██"), (0.5, 0.25, "  █ "), (0.9, 0.9, "   █"), (1.0, 0.1, "   ▍"), (0.25, 0.0, "    ")],
)
def test_a_span_bar_stands_where_it_began(offset, share, shown):
    """And never leaves its width."""
    assert span_bar(offset, share, 4) == shown


@given(offset=st.floats(0, 1), share=st.floats(0, 1), width=st.integers(1, 80))
def test_a_span_bar_always_fills_its_width(offset, share, width):
    """So that what follows stands in a column."""
    assert len(span_bar(offset, share, width)) == width
