"""Every drill: the fault, the alerts that it must cause, and those that may come with it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dingtalk.notice import Notice
from service.drill_faults import Faults

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from cli.drill.stage import Stage
    from cli.drill.traffic import Traffic

FAULT_SECONDS = 3600.0
"""A fault ends by itself after so long, should the drill be killed."""
LEAST_RATE = 10.0
PER_WINDOW = 600.0
"""Requests in the rules' window of five minutes: chance makes that a tenth more or less once in eighty times."""
WINDOW = 300.0
SLOW_SECONDS = 0.55
"""Of a run: waiting for the one before and its own it is over 0.8 s, and 32 at a time keep up with more than is sent."""
RUSH_RATE = 200.0
"""Requests a second that fill the queue of 1,024 before the first of them give up."""
DEPTH_LEAST, DEPTH_MOST = 330, 420
"""Of the queue: over the line of 256, and a wait well under the deadline of 10 s."""
BATCH = 32
BACKLOG_RATE = 90.0
"""Requests a second that fill it up to there before HighLatency would be told of it."""
FILL_SECONDS = 1.5
OVERLOAD_SECONDS = 1.2
"""Of a run; both below the time after which a run counts as stuck, also where minutes are short."""

# What comes and goes with chance, in any drill that ends processes.
_CUT_OFF = "whether a request is cut off, or it is the second restart within the hour, is chance"


def no_fault(_stage: Stage, _traffic: Traffic, _rate: float) -> None:
    """Nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drill:
    """One drill.

    Attributes:
        name: as everybody calls it.
        says: what is done, in a line.
        expects: the alerts that must be told, in no order.
        permits: those that may be told too, each with the reason.
        begin: puts the fault in; it is given the usual rate of requests.
        meanwhile: done again and again while the fault lasts.
        told: done when all were told, before the fault is taken out.
        end: takes the fault out.
        mute: nobody can be told while the fault lasts, so it is taken out as soon as the alerts fire.
        history: seconds of usual traffic that the rules need before, at scale 1.
        needs: a process that the smaller profile lacks.
    """

    name: str
    says: str
    expects: tuple[str, ...]
    begin: Callable[[Stage, Traffic, float], None]
    end: Callable[[Stage, Traffic, float], None]
    meanwhile: Callable[[Stage, Traffic, float], None] = no_fault
    told: Callable[[Stage, Traffic, float], None] = no_fault
    permits: Mapping[str, str] = field(default_factory=dict)
    mute: bool = False
    history: float = 0.0
    needs: str = ""


def usual_rate(scale: float) -> float:
    """Requests in a second: enough that chance does not decide, also where minutes are short."""
    return max(LEAST_RATE, PER_WINDOW / (WINDOW * scale))


def _faulty(faults: Faults) -> Callable[[Stage, Traffic, float], None]:
    def begin(stage: Stage, _traffic: Traffic, _rate: float) -> None:
        stage.faults.write(faults, seconds=FAULT_SECONDS)

    return begin


def _mend(stage: Stage, _traffic: Traffic, _rate: float) -> None:
    stage.faults.clear()


def _flow(share: float) -> Callable[[Stage, Traffic, float], None]:
    def change(_stage: Stage, traffic: Traffic, rate: float) -> None:
        traffic.flow(rate * share)

    return change


def _fill(stage: Stage, _traffic: Traffic, rate: float) -> None:
    """Keep the queue between two lines: the model is much too slow, as fast as requests come, or a little faster."""
    depth, even = stage.queue_depth(), BATCH / max(rate, BACKLOG_RATE)
    slow = FILL_SECONDS if depth < DEPTH_LEAST else even if depth < DEPTH_MOST else even / 1.3
    stage.faults.write(Faults(slow_seconds=slow), seconds=FAULT_SECONDS)


def _begin_backlog(stage: Stage, traffic: Traffic, rate: float) -> None:
    traffic.flow(max(rate, BACKLOG_RATE))
    _fill(stage, traffic, rate)


def _end_backlog(stage: Stage, traffic: Traffic, rate: float) -> None:
    stage.faults.clear()
    traffic.flow(rate)


def _begin_overload(stage: Stage, traffic: Traffic, _rate: float) -> None:
    stage.faults.write(Faults(slow_seconds=OVERLOAD_SECONDS), seconds=FAULT_SECONDS)
    traffic.flow(RUSH_RATE)


def _stuck(stage: Stage, _traffic: Traffic, _rate: float) -> None:
    stage.faults.write(Faults(stuck=f"at {stage.clock.unix():.3f}"), seconds=FAULT_SECONDS)


def _kill(name: str) -> Callable[[Stage, Traffic, float], None]:
    return lambda stage, _traffic, _rate: stage.kill(name)


def _stop(name: str) -> Callable[[Stage, Traffic, float], None]:
    return lambda stage, _traffic, _rate: stage.stop(name)


def _start(name: str) -> Callable[[Stage, Traffic, float], None]:
    return lambda stage, _traffic, _rate: stage.start(name)


def _begin_ban(stage: Stage, traffic: Traffic, rate: float) -> None:
    stage.ban("critical")
    _faulty(Faults(fail_every=1))(stage, traffic, rate)


def _restart_prometheus(stage: Stage, _traffic: Traffic, _rate: float) -> None:
    stage.kill("prometheus")
    stage.start("prometheus")
    # Long enough for every rule to be evaluated, and for Alertmanager to tell what it should not.
    stage.wait(stage.scaled(120) + 5)


_SURVIVORS = ("simulator", "watcher", "auditor")
"""DingTalk and the second machine; and what sends nothing, and would only come back for an audit."""


def _begin_box_gone(stage: Stage, _traffic: Traffic, _rate: float) -> None:
    stage.kill(*(name for name in stage.names() if name not in _SURVIVORS))


def _end_box_gone(stage: Stage, _traffic: Traffic, _rate: float) -> None:
    names = [name for name in stage.names() if name not in _SURVIVORS]
    # Starts take seconds that do not shrink with the minutes, so that who watches them comes last.
    last = [name for name in ("alertmanager", "prometheus") if name in names]
    stage.start(*(name for name in names if name not in last))
    stage.start(*last)


DRILLS: tuple[Drill, ...] = (
    Drill(
        name="slow-model",
        says=f"each run of the model takes {SLOW_SECONDS:g} s longer",
        expects=("HighLatency",),
        begin=_faulty(Faults(slow_seconds=SLOW_SECONDS)),
        end=_mend,
    ),
    Drill(
        name="failing-model",
        says="each run of the model fails",
        expects=("BreakerOpen",),
        begin=_faulty(Faults(fail_every=1)),
        end=_mend,
    ),
    Drill(
        name="failing-part",
        says="each fifth run of the model fails",
        # The lines come first, the ratio has to hold for ten minutes; from then on it speaks for them.
        expects=("ErrorLogs", "HighErrorRate"),
        begin=_faulty(Faults(fail_every=5)),
        end=_mend,
    ),
    Drill(
        name="error-logs",
        says="each thirty-third run of the model fails: too few for an error rate, too many lines in the log",
        expects=("ErrorLogs",),
        begin=_faulty(Faults(fail_every=33)),
        end=_mend,
    ),
    Drill(
        name="queue-backlog",
        says=f"the model is so slow that between {DEPTH_LEAST} and {DEPTH_MOST} wait, none of them for too long",
        expects=("QueueBacklog",),
        begin=_begin_backlog,
        meanwhile=_fill,
        end=_end_backlog,
    ),
    Drill(
        name="overload",
        says=f"{RUSH_RATE:g} requests a second for a model that manages less than thirty",
        expects=("Overload",),
        permits={"QueueBacklog": "where minutes are short, the queue is long for a while before it is full"},
        begin=_begin_overload,
        end=_end_backlog,
    ),
    Drill(
        name="worker-stuck",
        says="one run of the model does not end",
        expects=("WorkerStuck",),
        begin=_stuck,
        end=_mend,
    ),
    Drill(
        name="disk-nearly-full",
        says="the disk of the data folder is said to be 97 % full",
        expects=("DiskNearlyFull",),
        begin=_faulty(Faults(disk_used_ratio=0.97)),
        end=_mend,
    ),
    Drill(
        name="traffic-falls",
        says="40 % of the requests stay away",
        expects=("TrafficDrop",),
        begin=_flow(0.6),
        end=_flow(1.0),
        # The hour that it is compared with ends fifteen minutes ago.
        history=2400.0,
    ),
    Drill(
        name="traffic-stops",
        says="all requests stay away",
        expects=("NoTraffic",),
        begin=_flow(0.0),
        end=_flow(1.0),
        history=2400.0,
    ),
    Drill(
        name="dingtalk-banning",
        says="DingTalk refuses the robot of the critical group for ten minutes, and each run of the model fails",
        expects=("BreakerOpen", "RobotBanned"),
        begin=_begin_ban,
        end=_mend,
    ),
    Drill(
        name="prometheus-restarted",
        says="each run of the model fails; while that alert fires, Prometheus is killed and started: nobody may hear of it",
        expects=("BreakerOpen",),
        begin=_faulty(Faults(fail_every=1)),
        told=_restart_prometheus,
        end=_mend,
    ),
    Drill(
        name="notifier-killed",
        says="the notifier is killed with -9, and stays away until its absence fires",
        expects=("NotifierGone",),
        mute=True,
        begin=_kill("notifier"),
        end=_start("notifier"),
    ),
    Drill(
        name="loki-away",
        says="Loki is stopped",
        expects=("StoreGone",),
        begin=_stop("loki"),
        end=_start("loki"),
        needs="loki",
    ),
    Drill(
        name="collector-killed",
        says="the Collector is killed with -9, and stays away",
        expects=("CollectorGone",),
        begin=_kill("collector"),
        end=_start("collector"),
        needs="collector",
    ),
    Drill(
        name="service-killed",
        says="the service is killed with -9, and stays away",
        expects=("ServiceGone",),
        permits={"ServiceRestarted": _CUT_OFF},
        begin=_kill("service"),
        end=_start("service"),
    ),
    Drill(
        name="box-gone",
        says="everything on the box is killed with -9 at once; only DingTalk and the second machine live on",
        expects=(Notice.BOX_SILENT.english,),
        permits={"ServiceRestarted": _CUT_OFF},
        begin=_begin_box_gone,
        end=_end_box_gone,
    ),
)

BEYOND = frozenset({"ErrorBudgetBurnFast", "ErrorBudgetBurnSlow", "RetentionBelowFloor", "AuditOverdue"})
"""Alerts with windows over an hour, which a drill's history is too short for; promtool and a backfilled Prometheus prove them."""


def drill_of(name: str) -> Drill | None:
    """The drill of a name."""
    return next((drill for drill in DRILLS if drill.name == name), None)
