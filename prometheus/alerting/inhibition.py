"""Which alert speaks for which: one cause sends one message. A table; Alertmanager's configuration and its tests are made from it.

An alert that speaks for others is the one that is told first, or the one closest to the cause among those that are told at the same
time. No pair stands in both directions: two that silence each other would say nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

INSTANCE = ("instance",)
STORE = ("store",)
FOLDER = ("instance", "mgeo_folder")
EVERYWHERE: tuple[str, ...] = ()

# What a process that is away, or whose model does not answer, cannot do well.
_SERVING = (
    "BatchSaturated",
    "BreakerOpen",
    "ErrorBudgetBurnFast",
    "ErrorBudgetBurnSlow",
    "ErrorLogs",
    "HighErrorRate",
    "HighLatency",
    "InvalidInputSurge",
    "NoTraffic",
    "Overload",
    "QueueBacklog",
    "Timeouts",
    "TrafficDrop",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Inhibition:
    """While `source` fires, none of `targets` is told where the labels `equal` are the same.

    Attributes:
        why: the comment above it.
    """

    source: str
    targets: tuple[str, ...]
    equal: tuple[str, ...]
    why: str


INHIBITIONS: tuple[Inhibition, ...] = (
    Inhibition(
        source="CrashLoop",
        targets=("AgentGone", "ServiceGone", "ServiceRestarted", "WorkerRestarted", "WorkerStuck", "MetricsMissing", *_SERVING),
        equal=INSTANCE,
        why="A process that starts again and again is gone now and then, and serves badly in between.",
    ),
    Inhibition(
        source="ServiceGone",
        targets=("AuditOverdue", "MetricsMissing", "ServiceRestarted", *_SERVING),
        equal=INSTANCE,
        why="Nobody is served by a process that is not there.",
    ),
    Inhibition(
        source="AgentGone",
        targets=("AuditOverdue", "ServiceRestarted", "SpoolWaiting", *_SERVING),
        equal=INSTANCE,
        why="The same, of a box that is not scraped.",
    ),
    Inhibition(
        source="WorkerStuck",
        targets=("BatchSaturated", "ErrorLogs", "HighLatency", "Overload", "QueueBacklog", "Timeouts", "WorkerRestarted"),
        equal=INSTANCE,
        why="Behind a run that never ends everything waits. Not HighErrorRate: whether callers fail is said in any case.",
    ),
    Inhibition(
        source="BreakerOpen",
        targets=("ErrorBudgetBurnFast", "ErrorBudgetBurnSlow", "ErrorLogs", "HighErrorRate", "Overload", "WorkerRestarted"),
        equal=INSTANCE,
        why="The breaker opens after a few failures, nine minutes before HighErrorRate is told the same.",
    ),
    Inhibition(
        source="HighErrorRate",
        targets=("ErrorBudgetBurnFast", "ErrorBudgetBurnSlow", "ErrorLogs", "Overload", "Timeouts"),
        equal=INSTANCE,
        why="Errors make error lines and use up the budget; overloaded and timeout are part of its ratio.",
    ),
    Inhibition(
        source="ErrorBudgetBurnFast",
        targets=("ErrorBudgetBurnSlow",),
        equal=INSTANCE,
        why="The same budget, faster.",
    ),
    Inhibition(
        source="Overload",
        targets=("BatchSaturated", "HighLatency", "QueueBacklog", "Timeouts"),
        equal=INSTANCE,
        why="A queue that is full is a long one, and slow.",
    ),
    Inhibition(
        source="QueueBacklog",
        targets=("BatchSaturated", "HighLatency", "Timeouts"),
        equal=INSTANCE,
        why="Who waits is late.",
    ),
    Inhibition(source="NoTraffic", targets=("TrafficDrop",), equal=INSTANCE, why="Nothing is less than seventy per cent."),
    Inhibition(
        source="MetricsMissing",
        targets=("NoTraffic", "TrafficDrop"),
        equal=INSTANCE,
        why="What does not arrive is not known to be less.",
    ),
    Inhibition(
        source="CollectorGone",
        targets=(
            "AgentGone",
            "AuditDifference",
            "AuditOverdue",
            "CollectorQueueFilling",
            "CollectorQueueFull",
            "CollectorRefused",
            "CollectorSendFailed",
            "MetricsMissing",
            "NoTraffic",
            "SpoolWaiting",
            "TrafficDrop",
        ),
        equal=EVERYWHERE,
        why="Everything that is pushed comes through it.",
    ),
    Inhibition(
        source="StoreGone",
        targets=("CollectorQueueFilling", "CollectorQueueFull", "CollectorSendFailed"),
        equal=STORE,
        why="What is for a store that is away waits before it.",
    ),
    Inhibition(
        source="StoreGone",
        targets=("AuditDifference", "AuditOverdue"),
        equal=EVERYWHERE,
        why="An audit cannot read it.",
    ),
    Inhibition(
        source="CollectorQueueFull",
        targets=("CollectorQueueFilling",),
        equal=STORE,
        why="Full is more than nearly full.",
    ),
    Inhibition(
        source="CollectorQueueFull",
        targets=("CollectorRefused",),
        equal=EVERYWHERE,
        why="A full queue refuses.",
    ),
    Inhibition(source="DiskNearlyFull", targets=("DiskFilling",), equal=FOLDER, why="The same disk, later."),
    Inhibition(
        source="DiskNearlyFull",
        targets=("LokiRejecting", "JaegerRejecting", "NotifierNotStoring", "TelemetryDropped"),
        equal=EVERYWHERE,
        why="Nobody can write on a full disk.",
    ),
    Inhibition(
        source="NotifierGone",
        targets=("NotificationsFailing", "NotifierQueueOld", "RobotBanned"),
        equal=EVERYWHERE,
        why="Nobody takes the notifications.",
    ),
    Inhibition(
        source="NotifierNotStoring",
        targets=("NotificationsFailing", "ReconcilingFailing"),
        equal=EVERYWHERE,
        why="It answers 503, and cannot note what it has compared.",
    ),
    Inhibition(
        source="AlertmanagerUnreachable",
        targets=("ReconcilingFailing",),
        equal=EVERYWHERE,
        why="The notifier asks it too, and what it is told is told soon after it is back.",
    ),
    Inhibition(
        source="RobotDead",
        targets=("NotifierQueueOld", "RobotBanned"),
        equal=EVERYWHERE,
        why="What was for it waits for another.",
    ),
    Inhibition(source="RobotBanned", targets=("NotifierQueueOld",), equal=EVERYWHERE, why="What is for it waits out the ban."),
)
