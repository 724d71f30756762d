"""The timeline is a picture that any program can read, and its bars are as long as what they show."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.drill.picture import LEFT, RIGHT, WIDTH, picture
from tests.cli.drill.results import drill, result, timing, verdict

SVG = "{http://www.w3.org/2000/svg}"
COLOURS = {"#9aa5b1": "unseen", "#f0b429": "true", "#de3a11": "firing", "#8719e0": "told", "#2f8132": "cleared"}


def drawn(*results):
    """Of each row: its words, its bars as (kind, seconds), and where its dots are."""
    root = ET.fromstring(picture(results))
    rows = {}
    for text in root.iter(f"{SVG}text"):
        if text.get("text-anchor") == "end":
            rows[int(text.get("y")) - 12] = (text.text, [], [])
    for bar in root.iter(f"{SVG}rect"):
        title = bar.find(f"{SVG}title")
        if title is not None:
            kind = COLOURS[bar.get("fill")]
            rows[int(bar.get("y"))][1].append((kind, float(title.text.rpartition(": ")[2].removesuffix(" s")), bar))
    for dot in root.iter(f"{SVG}circle"):
        # The one of the legend is no message of a row.
        if int(float(dot.get("cy"))) - 7 in rows:
            rows[int(float(dot.get("cy"))) - 7][2].append(float(dot.get("cx")))
    return list(rows.values())


def test_a_small_one():
    """Whole: one alert, from its fault to the message of its end, with a scale in seconds."""
    small = picture([result(timings={"HighLatency": timing(true=2, firing=5, told=6, cleared=8, ended=13)})])
    assert small == (
        """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1000 106" width="1000" height="106" font-family="system-ui, sans-serif" \
font-size="12" role="img">
<title>Timeline of the drills</title>
<rect width="1000" height="106" fill="#ffffff"/>
<rect x="16" y="12" width="12" height="12" fill="#9aa5b1"/>
<text x="33" y="22" fill="#1f2933">fault, not yet seen</text>
<rect x="170" y="12" width="12" height="12" fill="#f0b429"/>
<text x="187" y="22" fill="#1f2933">true, held</text>
<rect x="266" y="12" width="12" height="12" fill="#de3a11"/>
<text x="283" y="22" fill="#1f2933">firing, not yet told</text>
<rect x="426" y="12" width="12" height="12" fill="#8719e0"/>
<text x="443" y="22" fill="#1f2933">told, fault lasts</text>
<rect x="566" y="12" width="12" height="12" fill="#2f8132"/>
<text x="583" y="22" fill="#1f2933">cleared, end not yet told</text>
<circle cx="764" cy="18" r="4" fill="#1f2933"/>
<text x="775" y="22" fill="#1f2933">message in the group</text>
<line x1="290.0" y1="52" x2="290.0" y2="94" stroke="#e4e7eb"/>
<text x="290.0" y="48" fill="#52606d" text-anchor="middle">0 s</text>
<line x1="390.0" y1="52" x2="390.0" y2="94" stroke="#e4e7eb"/>
<text x="390.0" y="48" fill="#52606d" text-anchor="middle">2 s</text>
<line x1="490.0" y1="52" x2="490.0" y2="94" stroke="#e4e7eb"/>
<text x="490.0" y="48" fill="#52606d" text-anchor="middle">4 s</text>
<line x1="590.0" y1="52" x2="590.0" y2="94" stroke="#e4e7eb"/>
<text x="590.0" y="48" fill="#52606d" text-anchor="middle">6 s</text>
<line x1="690.0" y1="52" x2="690.0" y2="94" stroke="#e4e7eb"/>
<text x="690.0" y="48" fill="#52606d" text-anchor="middle">8 s</text>
<line x1="790.0" y1="52" x2="790.0" y2="94" stroke="#e4e7eb"/>
<text x="790.0" y="48" fill="#52606d" text-anchor="middle">10 s</text>
<line x1="890.0" y1="52" x2="890.0" y2="94" stroke="#e4e7eb"/>
<text x="890.0" y="48" fill="#52606d" text-anchor="middle">12 s</text>
<text x="280" y="76" fill="#1f2933" text-anchor="end">slow-model: HighLatency</text>
<rect x="290.0" y="64" width="100.0" height="14" fill="#9aa5b1"><title>fault, not yet seen: 2.0 s</title></rect>
<rect x="390.0" y="64" width="150.0" height="14" fill="#f0b429"><title>true, held: 3.0 s</title></rect>
<rect x="540.0" y="64" width="50.0" height="14" fill="#de3a11"><title>firing, not yet told: 1.0 s</title></rect>
<rect x="590.0" y="64" width="100.0" height="14" fill="#8719e0"><title>told, fault lasts: 2.0 s</title></rect>
<rect x="690.0" y="64" width="250.0" height="14" fill="#2f8132"><title>cleared, end not yet told: 5.0 s</title></rect>
<circle cx="590.0" cy="71" r="4" fill="#1f2933"/>
<circle cx="940.0" cy="71" r="4" fill="#1f2933"/>
</svg>
"""
    )


def test_an_alert_is_a_row_and_one_that_failed_is_red():
    """In the order in which they ran."""
    both = result(
        drill("dingtalk-banning"), verdict("x"), {"BreakerOpen": timing(told=1, cleared=2), "RobotBanned": timing(told=2, cleared=2)}
    )
    root = ET.fromstring(picture([result(), both]))
    words = [(text.text, text.get("fill")) for text in root.iter(f"{SVG}text") if text.get("text-anchor") == "end"]
    assert words == [
        ("slow-model: HighLatency", "#1f2933"),
        ("dingtalk-banning: BreakerOpen", "#c81e1e"),
        ("dingtalk-banning: RobotBanned", "#c81e1e"),
    ]


def test_what_is_told_after_the_fault_was_taken_out_is_still_to_be_told_until_then():
    """As when the notifier itself was away: the fault ends first, and nobody knows yet."""
    ((_, bars, dots),) = drawn(result(timings={"NotifierGone": timing(true=1, firing=4, cleared=5, told=9, ended=20)}))
    assert [(kind, seconds) for kind, seconds, _ in bars] == [
        ("unseen", 1.0),
        ("true", 3.0),
        ("firing", 1.0),
        ("firing", 4.0),
        ("cleared", 11.0),
    ]
    assert len(dots) == 2


def test_what_is_not_known_is_left_out():
    """A notice has no samples in Prometheus; a fault that nothing came of is one grey bar to where it was taken out."""
    ((_, notice, _), (_, nothing, dots)) = drawn(
        result(timings={"BoxSilent": timing(told=8, cleared=9, ended=20)}), result(timings={"HighLatency": timing(cleared=60)})
    )
    assert [(kind, seconds) for kind, seconds, _ in notice] == [("unseen", 8.0), ("told", 1.0), ("cleared", 11.0)]
    assert [(kind, seconds) for kind, seconds, _ in nothing] == [("unseen", 60.0)]
    assert dots == []


def test_a_picture_of_nothing_is_one_all_the_same():
    """Of no drill, and of one without a single moment."""
    assert drawn() == []
    assert [row[0] for row in drawn(result(timings={"HighLatency": timing()}))] == ["slow-model: HighLatency"]


def test_names_cannot_break_out_of_the_picture():
    """It may be shown by a browser."""
    name = '</text><script>alert(1)</script>&"'
    ((words, _, _),) = drawn(result(timings={name: timing(told=1, cleared=2)}))
    assert words == f"slow-model: {name}"
    assert "<script>" not in picture([result(drill("<script>"), timings={"X": timing(told=1, cleared=2)})])


@pytest.mark.parametrize("longest", [0.4, 1, 9, 13, 99, 599, 3601, 100_000])
def test_the_scale_has_few_lines_and_at_least_one(longest):
    """Whether drills take seconds or hours."""
    lines = re.findall(r"<line ", picture([result(timings={"HighLatency": timing(told=longest, cleared=longest)})]))
    assert 1 <= len(lines) <= 15


MOMENTS = st.fixed_dictionaries(
    {"cleared": st.floats(0, 5000)},
    optional={name: st.floats(0, 5000) for name in ("true", "firing", "told", "over")} | {"ended": st.floats(5000, 6000)},
)


@given(every=st.lists(MOMENTS, min_size=1, max_size=4))
def test_the_bars_of_a_row_follow_each_other_and_add_up(every):
    """From the fault to the last thing that is known, inside the picture, whatever came in whatever order."""
    for moments, (_, bars, _) in zip(every, drawn(*(result(timings={"HighLatency": timing(**moments)}) for moments in every)), strict=True):
        edge = float(LEFT)
        for _, _, bar in bars:
            # A bar has at least half a point, and is written to a tenth.
            assert float(bar.get("x")) == pytest.approx(edge, abs=0.7)
            edge = float(bar.get("x")) + float(bar.get("width"))
        assert edge <= WIDTH - RIGHT + 0.7
        last = max(seconds for name, seconds in moments.items() if name != "over")
        # Each is written to a tenth of a second.
        assert sum(seconds for _, seconds, _ in bars) == pytest.approx(last, abs=0.06 * len(bars) + 1e-6)
