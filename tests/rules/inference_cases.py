"""Cases of the alerts about inference. Series have a value each 30 s unless a case says otherwise; `0+60x40` is two a second."""

from __future__ import annotations

from tests.rules.promtool import Case, Fires, ours


def requests(status: str, error_type: str | None = None) -> str:
    """The counter of one outcome."""
    return ours("mgeo_requests_total", status=status, **({"error_type": error_type} if error_type else {}))


SUCCESS = requests("success")
ERROR = requests("error", "model_failed")
TIMEOUT = requests("timeout", "deadline_exceeded")
REFUSED = requests("overloaded", "queue_full")
BROKEN = requests("overloaded", "breaker_open")
INVALID = requests("invalid", "empty_address")
CANCELLED = requests("cancelled", "client_disconnected")
OTHER_BOX = SUCCESS.replace("id-1", "id-2").replace('"box"', '"other"')


def latency(le: str, status: str = "success") -> str:
    """One bucket."""
    return ours("mgeo_inference_duration_seconds_bucket", status=status, le=le)


def slow(values: str, status: str = "success") -> dict[str, str]:
    """Every inference between 0.8 and 1.5 s."""
    return {
        latency("0.8", status): values.replace("60", "0"),
        latency("1.5", status): values,
        latency("+Inf", status): values,
        ours("mgeo_inference_duration_seconds_count", status=status): values,
    }


def failed(percent: str) -> Fires:
    return Fires(description=f"HighErrorRate：box 的推理有 {percent} 失败（error、timeout、overloaded）。", value=percent)


def burns(name: str, percent: str, when: str) -> Fires:
    return Fires(
        description=f"{name}：box 的长窗口错误率为 {percent}；照此速度，一个月允许的错误（0.5%）{when}用完。",
        value=percent,
    )


def dropped(percent: str) -> Fires:
    return Fires(description=f"TrafficDrop：box 的请求量比往日同一时段（没有历史时比过去一小时）少 {percent}。", value=percent)


NO_TRAFFIC = Fires(description="NoTraffic：box 正常运行，但一个请求也没有收到；按往日同一时段或过去一小时，此时应有请求。")
EXPECTED = ours("mgeo_traffic_expected")

HIGH_ERROR_RATE = (
    Case(
        alert="HighErrorRate",
        says="six of a hundred fail for ten minutes",
        series={SUCCESS: "0+94x40", ERROR: "0+6x40"},
        at="15m",
        fires=(failed("6%"),),
    ),
    Case(
        alert="HighErrorRate",
        says="errors, timeouts and refusals count together",
        series={SUCCESS: "0+94x40", ERROR: "0+2x40", TIMEOUT: "0+2x40", REFUSED: "0+2x40"},
        at="15m",
        fires=(failed("6%"),),
    ),
    Case(
        alert="HighErrorRate",
        says="a healthy box beside it does not dilute it",
        series={SUCCESS: "0+50x40", ERROR: "0+50x40", OTHER_BOX: "0+6000x40"},
        at="15m",
        fires=(failed("50%"),),
    ),
    Case(alert="HighErrorRate", says="four of a hundred", series={SUCCESS: "0+96x40", ERROR: "0+4x40"}, at="15m"),
    Case(alert="HighErrorRate", says="not yet ten minutes", series={SUCCESS: "0+94x40", ERROR: "0+6x40"}, at="10m"),
    Case(alert="HighErrorRate", says="one failure of one", series={SUCCESS: "0x40", ERROR: "0x5 1x35"}, at="15m"),
    Case(
        alert="HighErrorRate",
        says="callers' own faults and departures",
        series={SUCCESS: "0+60x40", INVALID: "0+300x40", CANCELLED: "0+300x40", ERROR: "0+1x40"},
        at="15m",
    ),
    Case(
        alert="HighErrorRate",
        says="it ends when the errors end, since the counter of errors stays",
        series={SUCCESS: "0+94x80", ERROR: "0+6x30 180x50"},
        at="25m",
    ),
    Case(
        alert="HighErrorRate",
        says="one replica's restart is no burst of errors",
        series={SUCCESS: "0+60x40", ERROR: "0+1x40", OTHER_BOX: "9000+60x15 0+60x25"},
        at="15m",
    ),
)

HIGH_LATENCY = (
    Case(
        alert="HighLatency",
        says="all between 0.8 and 1.5 s",
        series=slow("0+60x30"),
        at="12m",
        fires=(Fires(description="HighLatency：box 成功推理的 P95 延迟为 1.465s。", value="1.465s"),),
    ),
    Case(
        alert="HighLatency",
        says="all below 0.8 s, most of them barely",
        series={
            latency("0.4"): "0x30",
            latency("0.8"): "0+60x30",
            latency("+Inf"): "0+60x30",
            ours("mgeo_inference_duration_seconds_count", status="success"): "0+60x30",
        },
        at="12m",
    ),
    Case(alert="HighLatency", says="nobody calls", series=slow("0x30"), at="12m"),
    Case(alert="HighLatency", says="three slow ones in five minutes", series=slow("0 0 0 1 1 1 2 2 2 3x30"), at="12m"),
    Case(alert="HighLatency", says="only what timed out was slow", series=slow("0+60x30", "timeout"), at="12m"),
    Case(alert="HighLatency", says="for four minutes only", series=slow("0+60x8"), at="4m"),
)

BUDGET = (
    Case(
        alert="ErrorBudgetBurnFast",
        says="a tenth fails for an hour",
        series={SUCCESS: "0+90x80", ERROR: "0+10x80"},
        step="1m",
        evaluated="1m",
        at="70m",
        fires=(burns("ErrorBudgetBurnFast", "10%", "几天内"),),
    ),
    Case(
        alert="ErrorBudgetBurnFast",
        says="four of a hundred fail for six hours, below the line of HighErrorRate",
        series={SUCCESS: "0+96x420", ERROR: "0+4x420"},
        step="1m",
        evaluated="1m",
        at="400m",
        fires=(burns("ErrorBudgetBurnFast", "4%", "几天内"),),
    ),
    Case(
        alert="ErrorBudgetBurnFast",
        says="two of a hundred",
        series={SUCCESS: "0+98x420", ERROR: "0+2x420"},
        step="1m",
        evaluated="1m",
        at="400m",
    ),
    Case(
        alert="ErrorBudgetBurnFast",
        says="what is over is over, though the hour remembers it",
        series={SUCCESS: "0+50x10 500+100x110", ERROR: "0+50x10 500x110"},
        step="1m",
        evaluated="1m",
        at="50m",
    ),
    Case(
        alert="ErrorBudgetBurnFast",
        says="half of very few",
        series={SUCCESS: "0+1x80", ERROR: "0x10 1x30 2x40"},
        step="1m",
        evaluated="1m",
        at="70m",
    ),
    Case(
        alert="ErrorBudgetBurnSlow",
        says="two of a hundred fail for a day",
        series={SUCCESS: "0+98x1600", ERROR: "0+2x1600"},
        step="1m",
        evaluated="5m",
        at="1500m",
        fires=(burns("ErrorBudgetBurnSlow", "2%", "月底前"),),
    ),
    Case(
        alert="ErrorBudgetBurnSlow",
        says="eight of a thousand fail for three days",
        series={SUCCESS: "0+992x4400", ERROR: "0+8x4400"},
        step="1m",
        evaluated="5m",
        at="4350m",
        fires=(burns("ErrorBudgetBurnSlow", "0.8%", "月底前"),),
    ),
    Case(
        alert="ErrorBudgetBurnSlow",
        says="three of a thousand fail for three days",
        series={SUCCESS: "0+997x4400", ERROR: "0+3x4400"},
        step="1m",
        evaluated="5m",
        at="4350m",
    ),
    Case(
        alert="ErrorBudgetBurnSlow",
        says="a bad hour that ended seven hours ago",
        series={SUCCESS: "0+50x60 3000+100x1500", ERROR: "0+50x60 3000x1500"},
        step="1m",
        evaluated="5m",
        at="480m",
    ),
)

TRAFFIC = (
    Case(
        alert="NoTraffic",
        says="an hour of requests, then none for ten minutes",
        series={SUCCESS: "0+30x150 4500x40"},
        at="86m",
        fires=(NO_TRAFFIC,),
    ),
    Case(
        alert="NoTraffic",
        says="traffic is back since minutes, and the time without is still in the window of TrafficDrop",
        series={SUCCESS: "0+30x150 4500x24 4500+30x40"},
        at="90m",
        fires=(NO_TRAFFIC,),
    ),
    Case(alert="NoTraffic", says="traffic is back since a while", series={SUCCESS: "0+30x150 4500x24 4500+30x40"}, at="97m"),
    Case(alert="NoTraffic", says="none for eight minutes", series={SUCCESS: "0+30x150 4500x40"}, at="83m"),
    Case(alert="NoTraffic", says="there were hardly any before", series={SUCCESS: "0 0 0 0 0 0+1x25 25x100"}, at="60m"),
    Case(alert="NoTraffic", says="there never were any", series={SUCCESS: "0x200"}, at="90m"),
    Case(
        alert="NoTraffic",
        says="traffic was said to be sporadic",
        series={SUCCESS: "0+30x150 4500x40", EXPECTED: "0x200"},
        at="86m",
    ),
    Case(
        alert="NoTraffic",
        says="the process does not report at all, which others tell",
        series={SUCCESS: "0+30x150 _x40"},
        at="90m",
    ),
    Case(
        alert="NoTraffic",
        says="yesterday there was none at this time either",
        series={SUCCESS: "0+60x60 3600x1380 3600+60x60 7200x60"},
        step="1m",
        evaluated="2m",
        at="1515m",
    ),
    Case(
        alert="TrafficDrop",
        says="forty per cent under the last hour, without history",
        series={SUCCESS: "0+60x180 10800+36x60"},
        at="105m",
        fires=(dropped("40%"),),
    ),
    Case(
        alert="TrafficDrop",
        says="barely over thirty per cent: the fall does not lower the hour it is compared with",
        series={SUCCESS: "0+100x180 18000+69x60"},
        at="105m",
        fires=(dropped("31%"),),
    ),
    Case(
        alert="TrafficDrop",
        says="all series have vanished",
        series={SUCCESS: "0+60x180 _x60"},
        at="106m",
        fires=(dropped("100%"),),
    ),
    Case(
        alert="TrafficDrop",
        says="four hours later it has not recovered, though the last hour was as low",
        series={SUCCESS: "0+100x1500 150000+60x300"},
        step="1m",
        evaluated="2m",
        at="1740m",
        fires=(dropped("40%"),),
    ),
    Case(alert="TrafficDrop", says="twenty per cent", series={SUCCESS: "0+100x180 18000+80x60"}, at="105m"),
    Case(alert="TrafficDrop", says="five minutes only", series={SUCCESS: "0+60x180 10800+36x10 11160+60x60"}, at="105m"),
    Case(alert="TrafficDrop", says="too little traffic to mean something", series={SUCCESS: "0+8x180 1440+4x60"}, at="105m"),
    Case(
        alert="TrafficDrop",
        says="traffic was said to be sporadic",
        series={SUCCESS: "0+60x180 10800+36x60", EXPECTED: "0x240"},
        at="105m",
    ),
    Case(
        alert="TrafficDrop",
        says="`mgeo match` has done its work, beside a server that goes on",
        series={
            SUCCESS: "0+60x180 _x60",
            ours("target_info"): "1x180 _x60",
            EXPECTED.replace("id-1", "id-2"): "1x240",
            OTHER_BOX: "0+60x240",
        },
        at="105m",
    ),
    Case(
        alert="TrafficDrop",
        says="as every evening: under the last hour, but as yesterday",
        series={SUCCESS: "0+100x90 9000+50x1350 76500+100x90 85500+50x120"},
        step="1m",
        evaluated="2m",
        at="1560m",
    ),
    Case(
        alert="TrafficDrop",
        says="a restart, after which the counters begin anew",
        series={SUCCESS: "0+60x180 0+60x60"},
        at="105m",
    ),
    Case(
        alert="TrafficDrop",
        says="it is a holiday, and earlier days were like this one",
        series={SUCCESS: "0+20x1500 30000+100x1380 168000+20x200", ours("mgeo_workday"): "0x1440 1x1440 0x200"},
        step="1m",
        evaluated="2m",
        at="2950m",
    ),
)

LOAD = (
    Case(
        alert="BreakerOpen",
        says="open, probing, open again",
        series={ours("mgeo_breaker_open"): "0 0 1 0.5 1 0 1 0.5 1 1"},
        at="4m",
        fires=(Fires(description="BreakerOpen：box 的模型接连失败，熔断器已打开：除了探测，所有请求都得到 503。", value="1"),),
    ),
    Case(alert="BreakerOpen", says="closed", series={ours("mgeo_breaker_open"): "0x20"}, at="5m"),
    Case(
        alert="BreakerOpen",
        says="it closed minutes ago, and the failures that opened it are still in the window of HighErrorRate",
        series={ours("mgeo_breaker_open"): "1 1 1 0x20"},
        at="5m",
        fires=(Fires(description="BreakerOpen：box 的模型接连失败，熔断器已打开：除了探测，所有请求都得到 503。", value="1"),),
    ),
    Case(alert="BreakerOpen", says="it closed a while ago", series={ours("mgeo_breaker_open"): "1 1 1 0x20"}, at="10m"),
    Case(
        alert="Overload",
        says="five of a hundred are refused by a full queue",
        series={SUCCESS: "0+95x20", REFUSED: "0+5x20"},
        at="6m",
        fires=(Fires(description="Overload：box 的队列已满，5% 的推理得到 503（queue_full）。", value="5%"),),
    ),
    Case(alert="Overload", says="refused by the breaker", series={SUCCESS: "0+50x20", REFUSED: "0x20", BROKEN: "0+50x20"}, at="6m"),
    Case(alert="Overload", says="one of two hundred", series={SUCCESS: "0+199x20", REFUSED: "0+1x20"}, at="6m"),
    Case(
        alert="Timeouts",
        says="three of a hundred",
        series={SUCCESS: "0+97x30", TIMEOUT: "0+3x30"},
        at="10m",
        fires=(Fires(description="Timeouts：box 的推理有 3% 超过期限（504）。", value="3%"),),
    ),
    Case(alert="Timeouts", says="one of two hundred", series={SUCCESS: "0+199x30", TIMEOUT: "0+1x30"}, at="10m"),
    Case(alert="Timeouts", says="one of three in five minutes", series={SUCCESS: "0 1 2x30", TIMEOUT: "0 1x30"}, at="10m"),
    Case(
        alert="QueueBacklog",
        says="three hundred wait for three minutes",
        series={ours("mgeo_queue_depth"): "0 0 300x20"},
        at="5m",
        fires=(Fires(description="QueueBacklog：box 有 300 个推理在排队。", value="300"),),
    ),
    Case(
        alert="QueueBacklog",
        says="it is empty since minutes, and the slow answers are still in the window of HighLatency",
        series={ours("mgeo_queue_depth"): "300x8 0x20"},
        at="7m",
        fires=(Fires(description="QueueBacklog：box 有 300 个推理在排队。", value="300"),),
    ),
    Case(alert="QueueBacklog", says="it is empty since a while", series={ours("mgeo_queue_depth"): "300x8 0x30"}, at="13m"),
    Case(alert="QueueBacklog", says="two hundred wait", series={ours("mgeo_queue_depth"): "200x20"}, at="5m"),
    Case(alert="QueueBacklog", says="a minute's burst", series={ours("mgeo_queue_depth"): "0 0 900 900 0x20"}, at="5m"),
    Case(
        alert="BatchSaturated",
        says="full batches, a queue never empty",
        series={
            ours("mgeo_batch_size_sum"): "0+960x50",
            ours("mgeo_batch_size_count"): "0+30x50",
            ours("mgeo_queue_depth"): "64x50",
        },
        at="18m",
        fires=(Fires(description="BatchSaturated：box 的平均批大小为 32，队列一直不空：模型已到极限。", value="32"),),
    ),
    Case(
        alert="BatchSaturated",
        says="full batches of batch calls, between which the queue is empty",
        series={
            ours("mgeo_batch_size_sum"): "0+960x50",
            ours("mgeo_batch_size_count"): "0+30x50",
            ours("mgeo_queue_depth"): "64 0 64 0 64 0 64 0 64 0 64 0 64 0 64 0 64 0 64 0 64 0 64 0 64 0 64 0 64 0 64 0 64 0 64 0 64 0",
        },
        at="18m",
    ),
    Case(
        alert="BatchSaturated",
        says="small batches",
        series={
            ours("mgeo_batch_size_sum"): "0+90x50",
            ours("mgeo_batch_size_count"): "0+30x50",
            ours("mgeo_queue_depth"): "3x50",
        },
        at="18m",
    ),
)

LINES = ours("mgeo_log_records_total", severity="ERROR")
INPUTS = (
    Case(
        alert="ErrorLogs",
        says="eighteen in a minute",
        series={LINES: "0+3x30"},
        step="10s",
        evaluated="10s",
        at="3m",
        fires=(Fires(description="ErrorLogs：box 在 1 分钟内写了 18 条 ERROR 日志。", value="18"),),
    ),
    Case(
        alert="ErrorLogs",
        says="a burst that is over within ten seconds is told too",
        series={LINES: "0 0 0 0 0 0 30x30"},
        step="10s",
        evaluated="10s",
        at="100s",
        fires=(Fires(description="ErrorLogs：box 在 1 分钟内写了 30 条 ERROR 日志。", value="30"),),
    ),
    Case(
        alert="ErrorLogs",
        says="exactly ten a minute, however they fall into the window",
        series={LINES: "0 1 3 5 6 8 10 11 13 15 16 18 20 21 23 25 26 28 30 31 33 35 36 38 40"},
        step="10s",
        evaluated="10s",
        at="200s",
    ),
    Case(
        alert="ErrorLogs",
        says="warnings are none",
        series={ours("mgeo_log_records_total", severity="WARNING"): "0+30x30", LINES: "0x30"},
        step="10s",
        evaluated="10s",
        at="3m",
    ),
    Case(alert="ErrorLogs", says="minutes after it has ended", series={LINES: "0+30x6 180x40"}, step="10s", evaluated="10s", at="6m"),
    Case(
        alert="InvalidInputSurge",
        says="a third is invalid",
        series={SUCCESS: "0+40x60", INVALID: "0+20x60"},
        at="25m",
        fires=(Fires(description="InvalidInputSurge：box 收到的请求有 33.33% 无效（4xx）。", value="33.33%"),),
    ),
    Case(alert="InvalidInputSurge", says="a tenth is invalid", series={SUCCESS: "0+54x60", INVALID: "0+6x60"}, at="25m"),
    Case(alert="InvalidInputSurge", says="somebody tries it out by hand", series={SUCCESS: "0x60", INVALID: "0 1 2 3 4 5x55"}, at="12m"),
)

CASES = (*HIGH_ERROR_RATE, *HIGH_LATENCY, *BUDGET, *TRAFFIC, *LOAD, *INPUTS)
