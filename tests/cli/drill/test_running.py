"""Whole drills in simulated time: what the groups were told decides, and whatever happens the fault is taken out again."""

from __future__ import annotations

import pytest

from cli.drill.catalogue import BEYOND, Drill
from cli.drill.running import Drills
from cli.drill.stage import DrillBroken
from cli.stack.interrupts import Interrupted
from dingtalk.notice import Notice
from service.drill_faults import NONE, Faults
from tests.cli.drill.world import CALLED, SCALE, Flow, World

LATENCY = "HighLatency"


class Play:
    """A world in which drills run, with a fault that a test writes: what begins, goes on, and ends."""

    def __init__(self, folder):
        self.world = World(folder)
        self.traffic = Flow()
        self.said = []
        self.deeds = []

    def drill(self, begin=None, end=None, *, name="slow-model", expects=(LATENCY,), told=None, meanwhile=None, **more):
        """The usual one causes HighLatency and clears it."""

        def noting(word, deed):
            def do(_stage, _traffic, _rate):
                self.deeds.append((word, self.world.elapsed))
                if deed is not None:
                    deed()

            return do

        hooks = {"told": noting("told", told)} if told is not None else {}
        if meanwhile is not None:
            hooks["meanwhile"] = lambda _stage, _traffic, _rate: meanwhile()
        return Drill(
            name=name,
            says="each run takes longer",
            expects=expects,
            begin=noting("begin", (lambda: self.world.cause(LATENCY)) if begin is None else begin),
            end=noting("end", (lambda: self.world.clear(LATENCY)) if end is None else end),
            **hooks,
            **more,
        )

    def runs(self, *drills):
        return Drills(self.world.stage(), self.traffic, self.said.append).run(drills)

    def run(self, *drills):
        return list(self.runs(*drills))

    @property
    def done(self):
        return [word for word, _ in self.deeds]


@pytest.fixture
def play(tmp_path):
    play = Play(tmp_path / "data")
    yield play
    play.world.http.close()


def nothing():
    """No fault."""


def test_a_drill_whose_messages_come_passes(play):
    """The fault goes in under the usual traffic, comes out when the message is there, and the end is waited for."""
    (result,) = play.run(play.drill())
    assert (result.passed, result.verdict.delivered, result.scale) == (True, (LATENCY,), SCALE)
    steps = result.timings[LATENCY].steps()
    # True after a second, held for two, told 1.5 s later; over a second after the fault, and told 1.5 s later.
    assert steps["fault_to_true"] == pytest.approx(1.0, abs=0.5)
    assert steps["true_to_firing"] == pytest.approx(2.0, abs=0.01)
    assert steps["fault_to_delivered"] == pytest.approx(4.5, abs=0.01)
    assert steps["cleared_to_resolved"] == pytest.approx(2.5, abs=0.01)
    assert play.done == ["begin", "end"]
    assert play.traffic.rates[0] > 0
    assert play.traffic.rates[1:] == [None]
    assert play.said == ["slow-model: each run takes longer", "slow-model: as it must be"]


def test_the_fault_comes_out_soon_after_the_message_and_not_before(play):
    """Of both, where two are expected."""
    both = ("ErrorLogs", LATENCY)

    def begin():
        play.world.cause("ErrorLogs", told=1.0)
        play.world.cause(LATENCY, told=9.0)

    def end():
        for name in both:
            play.world.clear(name)

    (result,) = play.run(play.drill(begin, end, expects=both))
    assert result.passed
    begun, ended = (at for _, at in play.deeds)
    assert ended - begun == pytest.approx(12.2, abs=0.25)
    assert list(result.timings) == list(both)


def test_what_never_comes_fails_after_a_while_and_the_fault_is_taken_out_all_the_same(play):
    """Its end is not waited for: it could not come."""
    (result,) = play.run(play.drill(nothing, nothing))
    assert (result.passed, result.verdict.faults) == (False, ("HighLatency was not told",))
    assert play.done == ["begin", "end"]
    assert set(result.timings[LATENCY].steps().values()) == {None}
    assert play.said[-1] == "slow-model: HighLatency was not told"
    # It holds for five minutes of the rules, and is waited for beyond that.
    assert play.deeds[1][1] - play.deeds[0][1] > 300 * SCALE


def test_what_fires_and_is_not_told_fails_and_is_timed_as_far_as_it_came(play):
    """The way from Prometheus to the group is what is drilled."""
    (result,) = play.run(play.drill(lambda: play.world.cause(LATENCY, told=None), lambda: play.world.clear(LATENCY, told=None)))
    assert result.verdict.faults == ("HighLatency was not told",)
    timing = result.timings[LATENCY]
    assert timing.firing_at is not None
    assert (timing.told_at, timing.ended_at) == (None, None)


def test_an_end_that_never_comes_fails(play):
    """After a while too."""
    (result,) = play.run(play.drill(end=lambda: play.world.clear(LATENCY, told=None)))
    assert result.verdict.faults == ("the end of HighLatency was not told",)
    assert result.timings[LATENCY].steps()["cleared_to_resolved"] is None
    assert result.longest("fault_to_delivered") == pytest.approx(4.5, abs=0.01)
    assert result.longest("cleared_to_resolved") is None


@pytest.mark.parametrize("when", ["before", "after"])
def test_one_message_too_many_fails(play, when):
    """Beside the expected one, or behind its end: what Alertmanager would tell is waited for."""

    def end():
        play.world.clear(LATENCY)
        if when == "after":
            play.world.cause("HighErrorRate", true=3.0)

    begin = (lambda: (play.world.cause(LATENCY), play.world.cause("HighErrorRate"))) if when == "before" else None
    (result,) = play.run(play.drill(begin, end))
    assert result.verdict.unexpected == ("HighErrorRate",)
    assert result.verdict.faults == ("HighErrorRate was told, and must not be",)


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        ({"robot": "info"}, "HighLatency was told by info, not by warning alone"),
        ({"mobiles": ("13800000001",)}, "HighLatency called 13800000001, not 13800000002"),
        ({"mobiles": ()}, "HighLatency called nobody, not 13800000002"),
    ],
)
def test_the_wrong_group_and_the_wrong_people_fail(play, said, fault):
    """A warning has its group and who is on call for it."""
    (result,) = play.run(play.drill(lambda: play.world.cause(LATENCY, **said)))
    assert result.verdict.faults == (fault,)


@pytest.mark.parametrize("name", ["ServiceRestarted", *sorted(BEYOND)])
def test_what_may_come_too_does_not_fail(play, name):
    """What the drill permits, and what has a window that is longer than any drill's history."""
    (result,) = play.run(
        play.drill(lambda: (play.world.cause(LATENCY), play.world.cause(name)), permits={"ServiceRestarted": "it is chance"})
    )
    assert result.passed
    assert name in result.verdict.delivered


def test_what_was_said_before_is_not_counted(play):
    """Of an earlier drill, on the same evening."""
    play.world.tell(LATENCY)
    play.world.tell("HighErrorRate")
    (result,) = play.run(play.drill(nothing, nothing))
    assert result.verdict.faults == ("HighLatency was not told",)
    assert result.verdict.delivered == ()


def test_each_drill_has_its_own_verdict(play):
    """One that fails does not keep the next from running, and what it heard is not the next one's."""
    errors = play.drill(
        lambda: play.world.cause("ErrorLogs"), lambda: play.world.clear("ErrorLogs"), name="error-logs", expects=("ErrorLogs",)
    )
    results = play.run(play.drill(nothing, nothing), errors, play.drill())
    assert [(result.drill.name, result.passed) for result in results] == [("slow-model", False), ("error-logs", True), ("slow-model", True)]
    assert play.traffic.rates.count(None) == 1


def test_a_drill_begins_in_a_calm_stack(play):
    """What it expects fires no more; what else fires does not matter."""
    play.world.cause(LATENCY, true=0.0, hold=0.0)
    play.world.cause("ErrorLogs", true=0.0, hold=0.0)
    play.world.clear(LATENCY, over=20.0)
    (result,) = play.run(play.drill())
    assert play.deeds[0][0] == "begin"
    assert play.deeds[0][1] > 20.0
    assert result.passed


def test_a_stack_that_does_not_become_calm_is_not_drilled(play):
    """Nobody could tell what the fault causes; the message says what fires. No fault was put in."""
    play.world.cause(LATENCY, true=0.0, hold=0.0)
    with pytest.raises(DrillBroken, match=r"^slow-model: HighLatency fires already, .*; mend that first$"):
        play.run(play.drill())
    assert play.deeds == []
    assert play.traffic.rates[-1] is None


def test_a_drill_that_needs_history_gets_it_first(play):
    """Usual traffic for so many seconds of the rules; only what is missing of them is waited for."""
    (first, second) = play.run(play.drill(history=2400.0), play.drill(history=2400.0, name="traffic-stops"))
    assert first.passed
    assert second.passed
    begun = [at for word, at in play.deeds if word == "begin"]
    assert begun[0] >= 2400.0 * SCALE
    assert begun[1] < begun[0] + 2400.0 * SCALE
    assert play.said[0] == "slow-model: first 120 s of usual traffic"


def test_where_nobody_can_be_told_the_fault_comes_out_when_the_alert_fires(play):
    """The notifier itself is away; it tells all when it is back."""
    gone = "NotifierGone"

    def end():
        play.world.tell(gone, at=play.world.now + 2)
        play.world.clear(gone, over=4.0)

    (result,) = play.run(play.drill(lambda: play.world.cause(gone, told=None), end, name="notifier-killed", expects=(gone,), mute=True))
    assert result.passed
    assert play.deeds[1][1] - play.deeds[0][1] == pytest.approx(3.0, abs=0.5)
    steps = result.timings[gone].steps()
    assert steps["fault_to_delivered"] == pytest.approx(5.0, abs=0.5)


def test_what_is_done_while_all_know_of_it_is_done_before_the_fault_comes_out(play):
    """Such as Prometheus' restart; and a telling because of it fails the drill."""
    (quiet,) = play.run(play.drill(told=nothing))
    assert play.done == ["begin", "told", "end"]
    assert quiet.passed
    (loud,) = play.run(play.drill(told=lambda: play.world.tell(LATENCY)))
    assert loud.verdict.faults == ("HighLatency was told 2 times",)


def test_a_fault_that_must_be_kept_up_is_kept_up_until_it_is_told(play):
    """Again and again, and no more after that."""
    kept = []
    (result,) = play.run(play.drill(meanwhile=lambda: kept.append(play.world.elapsed)))
    assert result.passed
    assert len(kept) > 10
    assert kept[-1] <= play.deeds[1][1]


def test_what_is_told_by_the_second_machine_is_judged_like_an_alert(play):
    """It is critical and calls who is on call for that; Prometheus knows nothing of it."""
    silent = Notice.BOX_SILENT.english
    (result,) = play.run(
        play.drill(
            lambda: play.world.notice(Notice.BOX_SILENT, after=3.0, mobiles=CALLED["critical"]),
            lambda: play.world.notice(Notice.BOX_BACK, after=2.0),
            name="box-gone",
            expects=(silent,),
        )
    )
    assert (result.passed, result.verdict.delivered) == (True, (silent,))
    steps = result.timings[silent].steps()
    assert (steps["fault_to_true"], steps["true_to_firing"]) == (None, None)
    assert steps["fault_to_delivered"] == pytest.approx(3.0, abs=0.01)
    (unheard,) = play.run(
        play.drill(lambda: play.world.notice(Notice.BOX_SILENT), lambda: play.world.notice(Notice.BOX_BACK), name="b", expects=(silent,))
    )
    assert unheard.verdict.faults == ("BoxSilent called nobody, not 13800000001",)


@pytest.mark.parametrize("error", [KeyboardInterrupt, Interrupted, SystemExit, OSError])
def test_a_drill_that_is_interrupted_takes_its_fault_out(play, error):
    """And ends its traffic; the interruption goes on."""

    def interrupt():
        if play.done == ["begin"] and play.world.elapsed > play.deeds[0][1] + 1:
            raise error

    play.world.on_pause = interrupt
    with pytest.raises(error):
        play.run(play.drill())
    assert play.done == ["begin", "end"]
    assert play.traffic.rates[-1] is None


def test_a_fault_whose_end_is_interrupted_is_taken_out_whole_all_the_same(play):
    """One that waits for a process to be ready again takes a while, in which somebody may lose patience."""
    ends = []

    def end():
        ends.append(play.world.elapsed)
        if len(ends) == 1:
            raise Interrupted
        play.world.clear(LATENCY)

    with pytest.raises(Interrupted):
        play.run(play.drill(end=end))
    assert len(ends) == 2
    assert play.traffic.rates[-1] is None


def test_a_fault_that_goes_in_by_half_is_taken_out(play):
    """As when of all processes the third cannot be killed."""

    def half():
        raise DrillBroken("loki does not stay away")

    with pytest.raises(DrillBroken, match="loki"):
        play.run(play.drill(half))
    assert play.done == ["begin", "end"]
    assert play.traffic.rates[-1] is None


def test_who_has_seen_enough_closes_it(play):
    """The drills behind do not begin, and the traffic ends."""
    runs = play.runs(play.drill(), play.drill(name="never"))
    assert next(runs).passed
    assert play.traffic.rates[-1] is not None
    runs.close()
    assert play.traffic.rates[-1] is None
    assert play.done == ["begin", "end"]


def test_what_a_killed_drill_left_is_taken_out_first(play):
    """Its fault file would last an hour."""
    stage = play.world.stage()
    stage.faults.write(Faults(fail_every=1), seconds=3600)
    seen = []
    play.run(play.drill(lambda: (seen.append(stage.faults.read()), play.world.cause(LATENCY))))
    assert seen == [NONE]


def test_without_prometheus_a_verdict_comes_without_the_steps_that_only_it_knows(play):
    """A message is a message."""

    def end():
        play.world.clear(LATENCY)
        play.world.away.add("prometheus")

    (result,) = play.run(play.drill(end=end))
    assert result.passed
    assert result.timings[LATENCY].firing_at is None
    assert result.timings[LATENCY].told_at is not None
