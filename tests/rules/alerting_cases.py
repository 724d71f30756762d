"""Cases of the alerts about alerting itself. A value each 30 s unless a case says otherwise."""

from __future__ import annotations

from tests.rules.promtool import Case, Fires, ours, series

PROMETHEUS = {"job": "prometheus", "instance": "127.0.0.1:9090"}
ALERTMANAGER = {"job": "alertmanager", "instance": "127.0.0.1:9093"}
NOTIFIER = {"job": "notifier", "instance": "127.0.0.1:8060"}


def prometheus(name: str, **labels: str) -> str:
    return series(name, **PROMETHEUS, **labels)


def notifier(name: str, **labels: str) -> str:
    return series(name, **NOTIFIER, **labels)


FAILURES = prometheus("prometheus_rule_evaluation_failures_total", rule_group="a.yml;inference")
MISSED = prometheus("prometheus_rule_group_iterations_missed_total", rule_group="a.yml;inference")
DISCOVERED = prometheus("prometheus_notifications_alertmanagers_discovered")
SEND_ERRORS = prometheus("prometheus_notifications_errors_total", alertmanager="http://127.0.0.1:9093/api/v2/alerts")
SENT = {"instance": "127.0.0.1:9090", "alertmanager": "http://127.0.0.1:9093/api/v2/alerts"}


def rules_failing(times: str) -> Fires:
    return Fires(
        labels={"instance": "127.0.0.1:9090", "rule_group": "a.yml;inference"},
        description=f"RuleEvaluationFailing：Prometheus 的规则组 a.yml;inference 有 {times} 次执行失败或被跳过；其中的告警可能不会触发。",
        value=times,
    )


META = (
    Case(
        alert="Watchdog",
        says="nothing is needed to make it fire",
        series={},
        at="1m",
        fires=(
            Fires(
                labels={},
                description="Watchdog：这条告警一直在触发，用来证明从规则到接收方的整条链路可用；它停了才是问题。",
            ),
        ),
    ),
    Case(
        alert="RuleEvaluationFailing",
        says="a rule fails at each evaluation",
        series={FAILURES: "0+2x20", MISSED: "0x20"},
        at="6m",
        fires=(rules_failing("20"),),
    ),
    Case(
        alert="RuleEvaluationFailing",
        says="evaluations are left out",
        series={FAILURES: "0x20", MISSED: "0+1x20"},
        at="6m",
        fires=(rules_failing("10"),),
    ),
    Case(
        alert="RuleEvaluationFailing", says="two are left out while the box boots", series={FAILURES: "0x20", MISSED: "0 1 2x20"}, at="6m"
    ),
    Case(alert="RuleEvaluationFailing", says="it failed before the rule was mended", series={FAILURES: "9x40", MISSED: "0x40"}, at="15m"),
    Case(
        alert="AlertmanagerUnreachable",
        says="none is known",
        series={DISCOVERED: "1 0x20"},
        at="4m",
        fires=(Fires(labels=PROMETHEUS, description="AlertmanagerUnreachable：Prometheus 的告警送不到 Alertmanager。", value="0"),),
    ),
    Case(
        alert="AlertmanagerUnreachable",
        says="one is known, but does not answer",
        series={DISCOVERED: "1x20", SEND_ERRORS: "0+1x20"},
        at="6m",
        fires=(Fires(labels=SENT, description="AlertmanagerUnreachable：Prometheus 的告警送不到 Alertmanager。", value="4"),),
    ),
    Case(alert="AlertmanagerUnreachable", says="it answers", series={DISCOVERED: "1x20", SEND_ERRORS: "0x20"}, at="6m"),
    Case(alert="AlertmanagerUnreachable", says="it started anew in between", series={DISCOVERED: "1x20", SEND_ERRORS: "0 0 1x20"}, at="4m"),
    Case(
        alert="NotificationsFailing",
        says="the notifier answers 503",
        series={series("alertmanager_notifications_failed_total", **ALERTMANAGER, integration="webhook", reason="serverError"): "0+1x20"},
        at="5m",
        fires=(
            Fires(
                labels={"instance": "127.0.0.1:9093", "integration": "webhook", "reason": "serverError"},
                description="NotificationsFailing：Alertmanager 有 10 次通知失败（serverError）。",
                value="10",
            ),
        ),
    ),
    Case(
        alert="NotificationsFailing",
        says="all are taken",
        series={series("alertmanager_notifications_failed_total", **ALERTMANAGER, integration="webhook", reason="serverError"): "0x20"},
        at="5m",
    ),
    Case(
        alert="NotificationsFailing",
        says="the user's own mail fails, which goes another way",
        series={series("alertmanager_notifications_failed_total", **ALERTMANAGER, integration="email", reason="other"): "0+1x20"},
        at="5m",
    ),
    Case(
        alert="ConfigReloadFailed",
        says="Prometheus' new configuration is wrong",
        series={prometheus("prometheus_config_last_reload_successful"): "1 0x20"},
        at="3m",
        fires=(Fires(labels=PROMETHEUS, description="ConfigReloadFailed：prometheus（127.0.0.1:9090）的新配置无效，仍在用旧配置。"),),
    ),
    Case(
        alert="ConfigReloadFailed",
        says="Alertmanager's is",
        series={series("alertmanager_config_last_reload_successful", **ALERTMANAGER): "1 0x20"},
        at="3m",
        fires=(Fires(labels=ALERTMANAGER, description="ConfigReloadFailed：alertmanager（127.0.0.1:9093）的新配置无效，仍在用旧配置。"),),
    ),
    Case(
        alert="ConfigReloadFailed", says="both are right", series={prometheus("prometheus_config_last_reload_successful"): "1x20"}, at="3m"
    ),
    Case(
        alert="ConfigReloadFailed",
        says="mended within half a minute",
        series={series("alertmanager_config_last_reload_successful", **ALERTMANAGER): "1 0 1x20"},
        at="3m",
    ),
)

UP = series("up", **NOTIFIER)
WRITABLE = notifier("mgeo_notifier_store_writable")
AGE = notifier("mgeo_notifier_queue_age_seconds")
DEAD = notifier("mgeo_notifier_dead_letters")
TEMPLATES = notifier("mgeo_notifier_template_failures_total")
RECONCILING = notifier("mgeo_notifier_reconciling_failures_total")


def state(name: str) -> str:
    return notifier("mgeo_notifier_robot_state", robot="main", state=name)


def quota(used: str, forecast: str) -> dict[str, str]:
    return {
        notifier("mgeo_notifier_quota_limit", organisation="corp"): "3000x200",
        notifier("mgeo_notifier_quota_used", organisation="corp"): used,
        notifier("mgeo_notifier_quota_forecast", organisation="corp"): forecast,
    }


def quota_fires(percent: str) -> Fires:
    return Fires(
        labels={"instance": "127.0.0.1:8060", "organisation": "corp"},
        description=f"QuotaForecast：组织 corp 本月的消息预计用掉配额的 {percent}。",
        value=percent,
    )


def reconciling_fails(times: str) -> Fires:
    return Fires(
        labels=NOTIFIER,
        description=f"ReconcilingFailing：通知器（127.0.0.1:8060）在 15 分钟内有 {times} 次对账没有做成；期间漏掉的告警暂时补不上。",
        value=times,
    )


ROBOT = {"instance": "127.0.0.1:8060", "robot": "main"}
NOTIFIER_CASES = (
    Case(
        alert="NotifierGone",
        says="no scrape for two minutes",
        series={UP: "1 0x20"},
        at="4m",
        fires=(Fires(labels=NOTIFIER, description="NotifierGone：抓取不到通知器（127.0.0.1:8060）；在它恢复之前，钉钉群里收不到告警。"),),
    ),
    Case(
        alert="NotifierGone",
        says="it is back since minutes, and what it missed is still in the window of NotificationsFailing",
        series={UP: "1 0 0 0 0 0 0 1x20"},
        at="6m",
        fires=(Fires(labels=NOTIFIER, description="NotifierGone：抓取不到通知器（127.0.0.1:8060）；在它恢复之前，钉钉群里收不到告警。"),),
    ),
    Case(alert="NotifierGone", says="it is back since a while", series={UP: "1 0 0 0 0 0 0 1x20"}, at="12m"),
    Case(alert="NotifierGone", says="it started anew", series={UP: "1 0 1x20"}, at="4m"),
    Case(alert="NotifierGone", says="there is none", series={series("up", **PROMETHEUS): "1x20"}, at="4m"),
    Case(
        alert="NotifierNotStoring",
        says="its disk is full",
        series={WRITABLE: "1 0x20"},
        at="3m",
        fires=(
            Fires(labels=NOTIFIER, description="NotifierNotStoring：通知器（127.0.0.1:8060）写不了自己的存储，对 Alertmanager 回 503。"),
        ),
    ),
    Case(alert="NotifierNotStoring", says="it stores", series={WRITABLE: "1x20"}, at="3m"),
    Case(
        alert="NotifierQueueOld",
        says="the oldest message waits for five minutes",
        series={AGE: "0+30x20"},
        at="5m",
        fires=(
            Fires(labels=NOTIFIER, description="NotifierQueueOld：通知器里最旧的消息已等待 5m 0s，钉钉群里的消息是迟到的。", value="5m 0s"),
        ),
    ),
    Case(alert="NotifierQueueOld", says="a minute, as the limit of a robot makes it wait", series={AGE: "0 30 60 30 60 0x20"}, at="5m"),
    Case(alert="NotifierQueueOld", says="nothing waits", series={AGE: "0x20"}, at="5m"),
    Case(
        alert="DeadLetters",
        says="one",
        series={DEAD: "0 1x20"},
        at="3m",
        fires=(Fires(labels=NOTIFIER, description="DeadLetters：通知器有 1 条死信：所有机器人和后备渠道都没有送达。", value="1"),),
    ),
    Case(alert="DeadLetters", says="none", series={DEAD: "0x20"}, at="3m"),
    Case(alert="DeadLetters", says="it was sent again by hand", series={DEAD: "1 1 0x20"}, at="3m"),
    Case(
        alert="RobotDead",
        says="its group was dissolved",
        series={state("ok"): "1 0x20", state("dead"): "0 1x20"},
        at="3m",
        fires=(Fires(labels={**ROBOT, "state": "dead"}, description="RobotDead：机器人 main 的状态是 dead，它的消息改走别的机器人。"),),
    ),
    Case(
        alert="RobotDead",
        says="its secret is wrong",
        series={state("ok"): "1 0x20", state("misconfigured"): "0 1x20"},
        at="3m",
        fires=(
            Fires(
                labels={**ROBOT, "state": "misconfigured"},
                description="RobotDead：机器人 main 的状态是 misconfigured，它的消息改走别的机器人。",
            ),
        ),
    ),
    Case(alert="RobotDead", says="it is well", series={state("ok"): "1x20", state("dead"): "0x20"}, at="3m"),
    Case(alert="RobotDead", says="it is only banned", series={state("banned"): "1x20", state("dead"): "0x20"}, at="3m"),
    Case(
        alert="RobotBanned",
        says="for two minutes",
        series={state("ok"): "1 0x20", state("banned"): "0 1x20"},
        at="4m",
        fires=(Fires(labels=ROBOT, description="RobotBanned：机器人 main 发得太快，被钉钉禁言约十分钟。"),),
    ),
    Case(alert="RobotBanned", says="it is well", series={state("ok"): "1x20", state("banned"): "0x20"}, at="4m"),
    Case(
        alert="RobotBanned",
        says="it is over quota, which is no ban",
        series={state("over_quota"): "1x20", state("banned"): "0x20"},
        at="4m",
    ),
    Case(
        alert="QuotaForecast",
        says="a fifth too many by the end of the month",
        series=quota("1000x200", "3600x200"),
        at="70m",
        fires=(quota_fires("120%"),),
    ),
    Case(alert="QuotaForecast", says="nearly all is used", series=quota("2940x200", "2990x200"), at="70m", fires=(quota_fires("98%"),)),
    Case(alert="QuotaForecast", says="enough for the month", series=quota("1000x200", "2500x200"), at="70m"),
    Case(
        alert="QuotaForecast",
        says="a storm makes the forecast high for half an hour",
        series=quota("1000x200", "3600x60 2500x140"),
        at="70m",
    ),
    Case(
        alert="NotifierTemplateFailing",
        says="the user's template fails",
        series={TEMPLATES: "0 0 1x20"},
        at="4m",
        fires=(Fires(labels=NOTIFIER, description="NotifierTemplateFailing：自定义模板失败了 1 次，已改用内置模板。", value="1"),),
    ),
    Case(alert="NotifierTemplateFailing", says="none fails", series={TEMPLATES: "0x20"}, at="4m"),
    Case(alert="NotifierTemplateFailing", says="that was an hour ago", series={TEMPLATES: "1x200"}, at="60m"),
    Case(
        alert="ReconcilingFailing",
        says="Prometheus does not answer the notifier, each minute anew",
        series={RECONCILING: "0x10 1 1 2 2 3 3 4 4 5 5 6 6 7 7 8 8 9 9 10x20"},
        at="14m",
        fires=(reconciling_fails("9"),),
    ),
    Case(
        alert="ReconcilingFailing",
        says="every other comparison fails",
        series={RECONCILING: "0 0 0 0 1 1 1 1 2 2 2 2 3 3 3 3 4 4 4 4 5 5 5 5 6 6 6 6 7 7 7 7 8 8 8 8 9 9 9 9"},
        at="18m",
        fires=(reconciling_fails("8"),),
    ),
    Case(alert="ReconcilingFailing", says="every comparison is made", series={RECONCILING: "0x60"}, at="20m"),
    Case(
        alert="ReconcilingFailing",
        says="three fail while Prometheus starts anew",
        series={RECONCILING: "0x20 1 1 2 2 3x40"},
        at="16m",
    ),
    Case(
        alert="ReconcilingFailing",
        says="many failed, half an hour ago",
        series={RECONCILING: "0 2 4 6 8 10 12x100"},
        at="40m",
    ),
)

DRILLS_FAILED = ours("mgeo_drill_failures")
DRILLED_AT = ours("mgeo_drill_timestamp_seconds")
DRILL_CASES = (
    Case(
        alert="DrillFailed",
        says="two of the newest drills did not go as they must",
        series={DRILLS_FAILED: "0 0 2x20"},
        at="4m",
        fires=(Fires(description="DrillFailed：box 最近一次告警演练有 2 项没有通过；真出故障时，告警可能漏发、多发或叫错人。", value="2"),),
    ),
    Case(alert="DrillFailed", says="all went as they must", series={DRILLS_FAILED: "0x20", DRILLED_AT: "0x20"}, at="4m"),
    Case(alert="DrillFailed", says="a newer run of them passed", series={DRILLS_FAILED: "2x4 0x20"}, at="4m"),
    Case(alert="DrillFailed", says="none was ever run", series={ours("mgeo_requests_total"): "0x20"}, at="4m"),
    Case(
        alert="DrillOverdue",
        says="the newest are of nine days and an hour ago",
        series={DRILLED_AT: "0x240"},
        step="1h",
        evaluated="1h",
        at="217h",
        fires=(Fires(description="DrillOverdue：box 超过 9 天没有做过告警演练。", value="9d 1h 0m 0s"),),
    ),
    Case(alert="DrillOverdue", says="weekly", series={DRILLED_AT: "0x168 604800x72"}, step="1h", evaluated="1h", at="217h"),
    Case(alert="DrillOverdue", says="a day late, and the box slept", series={DRILLED_AT: "0x240"}, step="1h", evaluated="1h", at="192h"),
    Case(
        alert="DrillOverdue",
        says="none was ever run",
        series={ours("mgeo_requests_total"): "0x240"},
        step="1h",
        evaluated="1h",
        at="217h",
    ),
    Case(
        alert="DrillOverdue",
        says="late, but held: whether they failed is for another",
        series={DRILLED_AT: "0x100 360000x140", DRILLS_FAILED: "3x240"},
        step="1h",
        evaluated="1h",
        at="217h",
    ),
)

CASES = (*META, *NOTIFIER_CASES, *DRILL_CASES)
