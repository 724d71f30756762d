"""Cases of the alerts about the service's processes. A value each 30 s unless a case says otherwise."""

from __future__ import annotations

from tests.rules.promtool import Case, Fires, ours, series

UP = ours("up")
INFO = ours("target_info")
REQUESTS = ours("mgeo_requests_total", status="success")
LINES = ours("mgeo_log_records_total", severity="INFO")
UPTIME = ours("process_uptime_seconds")
DIED = ours("mgeo_requests_total", status="error", error_type="process_died")

GONE = Fires(description="ServiceGone：Prometheus 抓取不到 box：进程已退出、卡死，或网络不通。")
AGENT = Fires(description="AgentGone：box 一小时内上报过指标，现在已沉默超过 4 分钟：进程、机器或上行链路有问题。")
BLIND = Fires(description="MetricsMissing：box 可达，但 Prometheus 里没有它最近的指标；在恢复之前，推理方面的告警都是瞎的。")


def crashed(times: str) -> Fires:
    return Fires(description=f"CrashLoop：box 在 15 分钟内重启了 {times} 次。", value=times)


def restarted(count: str) -> Fires:
    said = "ServiceRestarted：box 在 1 小时内多次重启，或重启时有请求被中断（process_died）；计数"
    return Fires(description=f"{said} {count}。", value=count)


GONE_CASES = (
    Case(alert="ServiceGone", says="no scrape for two minutes", series={UP: "1 1 0x20"}, at="4m", fires=(GONE,)),
    Case(alert="ServiceGone", says="a deploy's half minute", series={UP: "1 1 0 1x20"}, at="2m"),
    Case(alert="ServiceGone", says="it is there", series={UP: "1x20"}, at="4m"),
    Case(
        alert="ServiceGone", says="another program is gone", series={UP: "1x20", series("up", job="loki", instance="a:1"): "0x20"}, at="4m"
    ),
    Case(
        alert="AgentGone",
        says="pushed for ten minutes, then silent for six",
        series={INFO: "1x20 _x40"},
        at="16m",
        fires=(AGENT,),
    ),
    Case(
        alert="AgentGone",
        says="one of two boxes is silent",
        series={INFO: "1x20 _x40", series("target_info", job="mgeo", instance="id-2", mgeo_instance_name="other"): "1x60"},
        at="16m",
        fires=(AGENT,),
    ),
    Case(
        alert="AgentGone",
        says="five hours later it is still gone, and nobody says that it came back",
        series={INFO: "1x10 _x600"},
        step="1m",
        evaluated="2m",
        at="310m",
        fires=(AGENT,),
    ),
    Case(
        alert="AgentGone",
        says="a box with sporadic traffic is missed as well",
        series={INFO: "1x20 _x40", ours("mgeo_traffic_expected"): "0x20 _x40"},
        at="16m",
        fires=(AGENT,),
    ),
    Case(alert="AgentGone", says="silent for three minutes", series={INFO: "1x20 _x40"}, at="13m"),
    Case(alert="AgentGone", says="it came back", series={INFO: "1x20 _x20 1x40"}, at="25m"),
    Case(alert="AgentGone", says="a service that is scraped has its own alert", series={INFO: "1x20 _x40", UP: "1x20 0x40"}, at="16m"),
    Case(
        alert="AgentGone",
        says="`mgeo match` has done its work and ended",
        series={series("target_info", job="mgeo", instance="id-3", mgeo_instance_name="host/match/0"): "1x20 _x40"},
        at="16m",
    ),
    Case(
        alert="AgentGone",
        says="the same under a name of its own: servers say whether traffic is expected, and it does not",
        series={
            series("target_info", job="mgeo", instance="id-3", mgeo_instance_name="box"): "1x20 _x40",
            series("mgeo_traffic_expected", job="mgeo", instance="id-2", mgeo_instance_name="other"): "1x60",
        },
        at="16m",
    ),
    Case(alert="AgentGone", says="two days later nobody misses it", series={INFO: "1x2 _x600"}, step="5m", evaluated="2m", at="1500m"),
    Case(
        alert="MetricsMissing",
        says="it answers the scrape and pushes nothing",
        series={UP: "1x40", REQUESTS: "0+1x10 _x30"},
        at="13m",
        fires=(BLIND,),
    ),
    Case(alert="MetricsMissing", says="it is idle, but pushes", series={UP: "1x40", REQUESTS: "7x40"}, at="13m"),
    Case(alert="MetricsMissing", says="it is not there at all", series={UP: "1x10 0x30", REQUESTS: "0+1x10 _x30"}, at="13m"),
    Case(alert="MetricsMissing", says="a minute's gap", series={UP: "1x40", REQUESTS: "0+1x10 _x2 11x30"}, at="7m"),
)

RESTART_CASES = (
    Case(
        alert="CrashLoop",
        says="three restarts within ten minutes, by its lines",
        series={LINES: "9 12 15 2 8 14 2 8 14 2 8 14x20"},
        at="7m",
        fires=(crashed("3"),),
    ),
    Case(
        alert="CrashLoop",
        says="the same without any traffic, by its uptime",
        series={LINES: "2x20", UPTIME: "600 630 5 35 5 35 5 35 65 95 125 155 185"},
        at="6m",
        fires=(crashed("3"),),
    ),
    Case(alert="CrashLoop", says="two restarts", series={UPTIME: "600 5 35 5 35 65 95 125 155 185 215 245 275"}, at="6m"),
    Case(
        alert="CrashLoop",
        says="three restarts within an hour and a half",
        series={UPTIME: "0+600x3 5+600x3 5+600x3 5+600x3"},
        step="10m",
        at="150m",
    ),
    Case(
        alert="ServiceRestarted",
        says="twice within the hour",
        series={UPTIME: "600 5 35 65 5 35 65 95 125 155"},
        at="4m",
        fires=(restarted("2"),),
    ),
    Case(
        alert="ServiceRestarted",
        says="once, and it cut three requests off",
        series={UPTIME: "600 630 5 35 65 95 125 155", DIED: "0 0 3x20"},
        at="3m",
        fires=(restarted("3"),),
    ),
    Case(
        alert="ServiceRestarted",
        says="once, as by a deploy",
        series={UPTIME: "600 630 5 35 65 95 125", LINES: "90 95 2 9 15 21 30"},
        at="3m",
    ),
    Case(alert="ServiceRestarted", says="it runs", series={UPTIME: "0+30x20", LINES: "0+5x20", DIED: "0x20"}, at="9m"),
)

STUCK = ours("mgeo_worker_restarts_total", reason="stuck")
WORKER_DIED = ours("mgeo_worker_restarts_total", reason="died")
WORKER_CASES = (
    Case(
        alert="WorkerStuck",
        says="the first one, since the counter stood at 0 before",
        series={STUCK: "0 0 0 0 1x20", WORKER_DIED: "0x24"},
        at="5m",
        fires=(Fires(description="WorkerStuck：box 的模型工作线程卡死（次数约 1），已被放弃并替换。", value="1"),),
    ),
    Case(alert="WorkerStuck", says="a worker that died", series={STUCK: "0x24", WORKER_DIED: "0 0 0 0 1x20"}, at="5m"),
    Case(alert="WorkerStuck", says="twenty minutes later", series={STUCK: "0 0 0 0 1x60"}, at="25m"),
    Case(
        alert="WorkerRestarted",
        says="one died",
        series={WORKER_DIED: "0 0 0 0 1x20", STUCK: "0x24"},
        at="5m",
        fires=(Fires(description="WorkerRestarted：box 的模型工作线程崩溃（次数约 1），已自动替换；当时那一批推理失败。", value="1"),),
    ),
    Case(alert="WorkerRestarted", says="the whole process was restarted", series={WORKER_DIED: "3 3 3 0x20", STUCK: "0x24"}, at="5m"),
    Case(alert="WorkerRestarted", says="a worker that was stuck", series={WORKER_DIED: "0x24", STUCK: "0 0 0 0 1x20"}, at="5m"),
)

CASES = (*GONE_CASES, *RESTART_CASES, *WORKER_CASES)
