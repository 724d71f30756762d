"""The alerts about alerting itself: rules, Alertmanager, the notifier and its robots; and the Watchdog, whose silence says the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus.alerting import foreign_metrics, limits
from prometheus.alerting.expression import equal, greatest, increase, one_of, select, summed
from prometheus.alerting.rule import Alert, Area, Group, Severity
from prometheus.alerting.wording import SECONDS, WHERE, WHOLE, label, percent
from service.telemetry import names

if TYPE_CHECKING:
    from prometheus.alerting.scale import Scale

_ROBOT = "instance, robot"


def meta(scale: Scale) -> Group:
    """Prometheus and Alertmanager."""
    return Group(
        name="meta",
        why="Whether rules are evaluated and what they say reaches the notifier, also by the drills' word.",
        rules=(
            Alert(
                name="Watchdog",
                area=Area.ALERTING,
                severity=Severity.NONE,
                expr="vector(1)",
                why="Always fires. Whoever receives it knows that the whole way works, and tells when it stops: see `mgeo watch`.",
                summary="告警链路正常",
                description="这条告警一直在触发，用来证明从规则到接收方的整条链路可用；它停了才是问题。",
                value="1",
                threshold="1",
                drill="box-gone",
            ),
            _rules_failing(scale),
            _alertmanager_unreachable(scale),
            _notifications_failing(scale),
            _config_reload_failed(),
            _drill_failed(),
            _drill_overdue(scale),
        ),
    )


def notifier(scale: Scale) -> Group:
    """The last part of the way. What is said here may itself not get through: the second route in alertmanager.yml is for it."""
    return Group(
        name="notifier",
        why="Whether the notifier runs, stores, and gets its messages out.",
        rules=(
            _notifier_gone(),
            _notifier_not_storing(),
            _notifier_queue_old(scale),
            _dead_letters(),
            _robot_dead(),
            _robot_banned(),
            _quota_nearly_used(),
            _template_failing(scale),
            _reconciling_failing(scale),
        ),
    )


def _rules_failing(scale: Scale) -> Alert:
    failed = f"{summed(increase(foreign_metrics.RULE_FAILURES, limits.RULES_WINDOW, scale), 'instance, rule_group')} > 0"
    missed = summed(increase(foreign_metrics.RULE_MISSED, limits.RULES_WINDOW, scale), "instance, rule_group")
    return Alert(
        name="RuleEvaluationFailing",
        area=Area.ALERTING,
        severity=Severity.CRITICAL,
        expr=f"{failed}\nor {missed} > {limits.RULES_MISSED}",
        why="A rule that fails, or is not evaluated in time, is an alert that does not exist.",
        summary="告警规则执行失败",
        description=f"Prometheus 的规则组 {label('rule_group')} 有 {WHOLE} 次执行失败或被跳过；其中的告警可能不会触发。",
        value=WHOLE,
        threshold="> 0",
        no_drill="Rules that fail are not shipped; promtool proves it.",
    )


def _alertmanager_unreachable(scale: Scale) -> Alert:
    errors = summed(increase(foreign_metrics.SEND_ERRORS, limits.ALERTMANAGER_WINDOW, scale), "instance, alertmanager")
    return Alert(
        name="AlertmanagerUnreachable",
        area=Area.ALERTING,
        severity=Severity.CRITICAL,
        expr=f"{foreign_metrics.ALERTMANAGERS} < 1\nor {errors} > 0",
        hold=limits.ALERTMANAGER_HOLD,
        why="With a single Alertmanager only Prometheus shows it, and the Watchdog's silence tells it.",
        summary="Prometheus 连不上 Alertmanager",
        description="Prometheus 的告警送不到 Alertmanager。",
        value=WHOLE,
        threshold="≥ 1",
        no_drill="Its message has no way out with a single Alertmanager; the drill box-gone shows the Watchdog's silence instead.",
    )


def _notifications_failing(scale: Scale) -> Alert:
    failed = increase(select(foreign_metrics.NOTIFY_FAILED, equal("integration", "webhook")), limits.NOTIFY_WINDOW, scale)
    return Alert(
        name="NotificationsFailing",
        area=Area.ALERTING,
        severity=Severity.CRITICAL,
        expr=f"{summed(failed, 'instance, integration, reason')} > 0",
        hold=limits.NOTIFY_HOLD,
        why="Alertmanager cannot hand messages on; what resolves meanwhile only the notifier's reconciling tells.",
        summary="Alertmanager 送不出通知",
        description=f"Alertmanager 有 {WHOLE} 次通知失败（{label('reason')}）。",
        value=WHOLE,
        threshold="> 0",
        no_drill="The drill notifier-killed passes through it; whether it holds a minute depends on the restart. promtool proves it.",
    )


def _config_reload_failed() -> Alert:
    return Alert(
        name="ConfigReloadFailed",
        area=Area.ALERTING,
        severity=Severity.WARNING,
        expr=f"{foreign_metrics.PROMETHEUS_CONFIG} == 0\nor {foreign_metrics.ALERTMANAGER_CONFIG} == 0",
        hold=limits.CONFIG_HOLD,
        why="It runs on with the old one, and falls over at its next start.",
        summary="配置重载失败",
        description=f"{label('job')}（{label('instance')}）的新配置无效，仍在用旧配置。",
        value="0",
        threshold="1",
        no_drill="The stack never reloads by itself; promtool proves it.",
    )


def _drill_failed() -> Alert:
    return Alert(
        name="DrillFailed",
        area=Area.ALERTING,
        severity=Severity.WARNING,
        expr=f"{greatest(names.DRILL_FAILURES.prometheus)} > 0",
        why="The newest drills told too little, too much, or the wrong people: so would the next real fault.",
        summary="告警演练没有通过",
        description=f"{WHERE} 最近一次告警演练有 {WHOLE} 项没有通过；真出故障时，告警可能漏发、多发或叫错人。",
        value=WHOLE,
        threshold="0",
        no_drill="A drill that fails on purpose would prove no more than promtool does.",
    )


def _drill_overdue(scale: Scale) -> Alert:
    return Alert(
        name="DrillOverdue",
        area=Area.ALERTING,
        severity=Severity.INFO,
        expr=f"time() - {greatest(names.DRILL_TIMESTAMP.prometheus)} > {scale.seconds(limits.DRILL_OVERDUE)}",
        why="A box whose drills were never run has no such series; one that had them weekly had none for longer than that.",
        summary="告警演练过期",
        description=f"{WHERE} 超过 {scale.spoken(limits.DRILL_OVERDUE)}没有做过告警演练。",
        value=SECONDS,
        threshold=scale.duration(limits.DRILL_OVERDUE),
        no_drill="It takes days; promtool proves it.",
    )


def _notifier_gone() -> Alert:
    return Alert(
        name="NotifierGone",
        area=Area.ALERTING,
        severity=Severity.CRITICAL,
        expr=f"{select(foreign_metrics.UP, equal('job', 'notifier'))} == 0",
        hold=limits.NOTIFIER_HOLD,
        keep=limits.NOTIFIER_KEEP,
        why="Nobody hears anything until it is back. It fires on for a while then: so its own message is the first one.",
        summary="通知器不可达",
        description=f"抓取不到通知器（{label('instance')}）；在它恢复之前，钉钉群里收不到告警。",
        value="0",
        threshold="up = 1",
        drill="notifier-killed",
    )


def _notifier_not_storing() -> Alert:
    return Alert(
        name="NotifierNotStoring",
        area=Area.ALERTING,
        severity=Severity.CRITICAL,
        expr=f"{foreign_metrics.NOTIFIER_STORE_WRITABLE} == 0",
        hold=limits.STORE_WRITABLE_HOLD,
        why="It answers 503 rather than lose; Alertmanager tries again, but only as long as the alert lasts.",
        summary="通知器无法存储告警",
        description=f"通知器（{label('instance')}）写不了自己的存储，对 Alertmanager 回 503。",
        value="0",
        threshold="1",
        no_drill="It needs a full disk; the notifier's own tests fill one, and promtool proves the rule.",
    )


def _notifier_queue_old(scale: Scale) -> Alert:
    return Alert(
        name="NotifierQueueOld",
        area=Area.ALERTING,
        severity=Severity.CRITICAL,
        expr=f"{foreign_metrics.NOTIFIER_QUEUE_AGE} > {scale.seconds(limits.NOTIFIER_QUEUE_AGE)}",
        hold=limits.NOTIFIER_QUEUE_HOLD,
        why="Twice the minute that a robot's limit explains. It goes to the same queue: the second route is for it.",
        summary="告警消息积压",
        description=f"通知器里最旧的消息已等待 {SECONDS}，钉钉群里的消息是迟到的。",
        value=SECONDS,
        threshold=scale.duration(limits.NOTIFIER_QUEUE_AGE),
        no_drill="The drill dingtalk-banning makes it fire; its message waits behind the ban like the others.",
    )


def _dead_letters() -> Alert:
    return Alert(
        name="DeadLetters",
        area=Area.ALERTING,
        severity=Severity.CRITICAL,
        expr=f"{foreign_metrics.NOTIFIER_DEAD_LETTERS} > 0",
        why="A message that no robot and no fallback took: somebody must send it again by hand.",
        summary="有告警消息没人能送达",
        description=f"通知器有 {WHOLE} 条死信：所有机器人和后备渠道都没有送达。",
        value=WHOLE,
        threshold="0",
        no_drill="It needs every robot and fallback to fail; the notifier's own tests do that, and promtool proves the rule.",
    )


def _robot_dead() -> Alert:
    state = select(foreign_metrics.NOTIFIER_ROBOT_STATE, one_of("state", ("dead", "misconfigured")))
    return Alert(
        name="RobotDead",
        area=Area.ALERTING,
        severity=Severity.CRITICAL,
        expr=f"{greatest(state, f'{_ROBOT}, state')} == 1",
        hold=limits.ROBOT_DEAD_HOLD,
        why="Removed, disabled, its group dissolved, or a wrong secret or keyword: it will not come back by waiting.",
        summary="钉钉机器人不可用",
        description=f"机器人 {label('robot')} 的状态是 {label('state')}，它的消息改走别的机器人。",
        value="1",
        threshold="ok",
        no_drill="The simulator can do it, and the notifier's own tests let it; promtool proves the rule.",
    )


def _robot_banned() -> Alert:
    state = select(foreign_metrics.NOTIFIER_ROBOT_STATE, equal("state", "banned"))
    return Alert(
        name="RobotBanned",
        area=Area.ALERTING,
        severity=Severity.WARNING,
        expr=f"{greatest(state, _ROBOT)} == 1",
        hold=limits.ROBOT_BANNED_HOLD,
        why="Somebody else sends by the same robot, since we stay below its limit.",
        summary="钉钉机器人被限流",
        description=f"机器人 {label('robot')} 发得太快，被钉钉禁言约十分钟。",
        value="1",
        threshold="ok",
        drill="dingtalk-banning",
    )


def _quota_nearly_used() -> Alert:
    limit, used, forecast = (
        greatest(name, "instance, organisation")
        for name in (foreign_metrics.NOTIFIER_QUOTA_LIMIT, foreign_metrics.NOTIFIER_QUOTA_USED, foreign_metrics.NOTIFIER_QUOTA_FORECAST)
    )
    return Alert(
        name="QuotaForecast",
        area=Area.ALERTING,
        severity=Severity.WARNING,
        expr=f"{forecast} / {limit} > 1\nor {used} / {limit} > {limits.QUOTA_USED_RATIO:g}",
        hold=limits.QUOTA_HOLD,
        why="Over the limit by the end of the month, or nearly there now.",
        summary="钉钉月度配额将用完",
        description=f"组织 {label('organisation')} 本月的消息预计用掉配额的 {{{{ $value | humanizePercentage }}}}。",
        value="{{ $value | humanizePercentage }}",
        threshold=f"100% / {percent(limits.QUOTA_USED_RATIO)}",
        no_drill="It takes a month; promtool proves it.",
    )


def _template_failing(scale: Scale) -> Alert:
    return Alert(
        name="NotifierTemplateFailing",
        area=Area.ALERTING,
        severity=Severity.WARNING,
        expr=f"{increase(foreign_metrics.NOTIFIER_TEMPLATE_FAILURES, limits.EVENT_WINDOW, scale)} > 0",
        why="The message went out by the built-in template, so nothing is lost but its form.",
        summary="消息模板渲染失败",
        description=f"自定义模板失败了 {WHOLE} 次，已改用内置模板。",
        value=WHOLE,
        threshold="> 0",
        no_drill="There is no template of the user's in a drill; promtool proves it.",
    )


def _reconciling_failing(scale: Scale) -> Alert:
    failures = increase(foreign_metrics.NOTIFIER_RECONCILING_FAILURES, limits.RECONCILING_WINDOW, scale)
    window = scale.spoken(limits.RECONCILING_WINDOW)
    return Alert(
        name="ReconcilingFailing",
        area=Area.ALERTING,
        severity=Severity.WARNING,
        expr=f"{failures} > {limits.RECONCILING_FAILURES}",
        hold=limits.RECONCILING_HOLD,
        why="Nothing is lost yet: the next comparison looks as far back. But what was missed is told late, and after a day never.",
        summary="告警对账失败",
        description=f"通知器（{label('instance')}）在 {window}内有 {WHOLE} 次对账没有做成；期间漏掉的告警暂时补不上。",
        value=WHOLE,
        threshold=f"> {limits.RECONCILING_FAILURES} / {window}",
        no_drill="Prometheus must answer its scrapes and rules and not the notifier; the notifier's own tests do that, promtool proves it.",
    )
