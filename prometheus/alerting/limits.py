"""Every threshold, window and selector of the rules, each with its reason. The one place to change one.

A `Duration` and a `Count` shrink with the minute in drills; a plain number is a ratio, a size or a line in real seconds, and does not.
"""

from __future__ import annotations

from prometheus.alerting.scale import Count, Duration, days, hours, minutes

# Inference -------------------------------------------------------------------------------------------------------------------

# The window of rates and ratios: thirty collections of ten seconds, so that one that is missing or late changes little.
WINDOW = minutes(5)
# Below so many judged inferences in the window a ratio or a percentile is chance: one failure of one would be 100 %.
ENOUGH = Count(20)

# An alert that speaks for rules over the window goes on speaking until what it was about has left the window. Else they would be
# told when all is well again.
# Two minutes more, for what is still answered and collected then.
_AFTER = minutes(2)
WINDOW_KEEP = Duration(WINDOW.seconds + _AFTER.seconds)

# P95 of successful inferences, on a bucket boundary: interpolation cannot carry traffic of 790 ms over it.
LATENCY_SECONDS = 0.8
LATENCY_QUANTILE = 0.95
LATENCY_HOLD = minutes(5)

# Failed over judged. Invalid and cancelled stand on neither side: they say nothing of us.
ERROR_RATIO = 0.05
ERROR_HOLD = minutes(10)

# The service level: of a month's judged inferences this part may fail. 0.5 % are three and a half hours of total failure.
ERROR_BUDGET = 0.005
# Long window, short window, burn rate, by the SRE workbook: the long one says it is worth a message, the short one that it goes on.
PAGE_BURNS = ((hours(1), WINDOW, 14.4), (hours(6), minutes(30), 6.0))
TICKET_BURNS = ((days(1), hours(2), 3.0), (days(3), hours(6), 1.0))
# Longer than total failure needs to become HighErrorRate, which then speaks for it.
PAGE_HOLD = minutes(7)
TICKET_HOLD = minutes(15)
# Judged inferences in the long window.
BURN_ENOUGH = Count(100)

# Traffic is compared over the same short window, now and then.
TRAFFIC_DROP = 0.3
TRAFFIC_HOLD = minutes(10)
# The last hour ends before the window and the hold began: a fall must not lower what it is compared with before it is told.
LAST_HOUR = hours(1)
LAST_HOUR_ENDS = Duration(WINDOW.seconds + TRAFFIC_HOLD.seconds)
# Prometheus keeps seven days, so there are seven earlier ones, of which at least one is a weekend's and one is not.
EARLIER_DAYS = 7
# Of 100 requests in the window, chance alone takes away 30 once in a thousand windows.
TRAFFIC_ENOUGH = Count(100)
# Ten minutes without any request, where there were at least ENOUGH in each five.
NO_TRAFFIC_HOLD = minutes(5)
# China has one time zone and no summer time.
ZONE_OFFSET_SECONDS = 28_800

# Over ten error lines a minute, the seed's promise. The hold lets a single extrapolated window pass, and BreakerOpen be the first.
ERROR_LINES = Count(10)
ERROR_LINES_WINDOW = minutes(1)
ERROR_LINES_HOLD = Duration(40)
ERROR_LINES_KEEP = minutes(2)

# A fifth of all requests are refused as the caller's fault: somebody's new release, or ours.
INVALID_RATIO = 0.2
INVALID_WINDOW = minutes(10)
INVALID_HOLD = minutes(10)

# A quarter of MGEO_QUEUE_SIZE's default: eight full runs of the model ahead of whoever comes now.
QUEUE_DEPTH = 256
QUEUE_HOLD = minutes(2)
# Nine tenths of MGEO_MAX_BATCH_SIZE's default on average, and a queue that never empties: more callers would only wait longer.
BATCH_SIZE = 28.8
BATCH_HOLD = minutes(10)

# One of a hundred.
REFUSED_RATIO = 0.01
REFUSED_HOLD = minutes(2)
TIMEOUT_RATIO = 0.01
TIMEOUT_HOLD = minutes(5)

# Told before ErrorLogs, whose lines it causes and for which it speaks.
BREAKER_HOLD = Duration(20)
BREAKER_WINDOW = minutes(1)

# Process ---------------------------------------------------------------------------------------------------------------------

# Six missed scrapes. A restart with a warm model takes less.
GONE_HOLD = minutes(1)
# An agent is not scraped: silence of five minutes, four of them seen by the window and one by the hold.
AGENT_WINDOW = minutes(4)
AGENT_HOLD = minutes(1)
# Who reported within the hour is expected to go on; and who has been called gone is, for a day, not forgotten into a false "resolved".
AGENT_MEMORY = hours(1)
AGENT_LATCH = days(1)
# Reachable, and yet without metrics: the way of the metrics is broken, and every rule about inference is blind.
BLIND_WINDOW = minutes(3)
BLIND_HOLD = minutes(3)

# What just happened stays visible so long: an event is no state that could hold.
EVENT_WINDOW = minutes(10)
# A counter that was seen within so long before the window is no new one.
BORN_MEMORY = days(1)
# One restart is a deploy. Two within the hour, or one that cut requests off, are not.
RESTARTS_WINDOW = hours(1)
RESTARTS = 2
CRASHES_WINDOW = minutes(15)
CRASHES = 3

# Telemetry -------------------------------------------------------------------------------------------------------------------

STORE_HOLD = minutes(2)
# Four fifths: at a hundred requests a second the last fifth of the fullest queue lasts a few minutes.
COLLECTOR_QUEUE_RATIO = 0.8
COLLECTOR_QUEUE_HOLD = minutes(5)
COLLECTOR_LOSS_HOLD = minutes(2)
# A kill tears the last record of a file; that many are no news.
TORN_RECORDS = 10
# The Collector has been away for so long.
SPOOL_AGE = minutes(5)
SPOOL_HOLD = minutes(2)
# What every store promises to keep.
RETENTION_FLOOR = days(7)
RETENTION_WINDOW = days(1)
RETENTION_HOLD = minutes(10)
DISK_FILLING = 0.85
DISK_FILLING_HOLD = minutes(10)
DISK_FULL = 0.95
DISK_FULL_HOLD = minutes(2)
# Real seconds of real clocks. Ours against a store's: lines and samples begin to be out of order.
CLOCK_SKEW_SECONDS = 5
# Against DingTalk's, whose signatures are good for an hour.
ROBOT_CLOCK_SKEW_SECONDS = 60
CLOCK_HOLD = minutes(5)
# The audit runs hourly.
AUDIT_OVERDUE = hours(3)

# Alerting --------------------------------------------------------------------------------------------------------------------

RULES_WINDOW = minutes(5)
# Of thirty; the window and the interval of evaluations shrink together, so that this does not.
RULES_MISSED = 5
# Each alert is sent anew every minute, so every broken minute has an error.
ALERTMANAGER_WINDOW = minutes(2)
ALERTMANAGER_HOLD = minutes(2)
NOTIFY_WINDOW = minutes(5)
NOTIFY_HOLD = minutes(1)
CONFIG_HOLD = minutes(1)
NOTIFIER_HOLD = minutes(1)
# It speaks for NotificationsFailing, whose window sees what it caused.
NOTIFIER_KEEP = Duration(NOTIFY_WINDOW.seconds + _AFTER.seconds)
# Twice the minute that a robot's limit may make a message wait.
NOTIFIER_QUEUE_AGE = minutes(2)
NOTIFIER_QUEUE_HOLD = minutes(1)
STORE_WRITABLE_HOLD = Duration(30)
ROBOT_BANNED_HOLD = minutes(1)
ROBOT_DEAD_HOLD = Duration(30)
# Drills are run weekly, and may take until the box is awake.
DRILL_OVERDUE = days(9)
QUOTA_HOLD = hours(1)
QUOTA_USED_RATIO = 0.95
# The notifier compares each minute, so a third of a quarter of an hour; a program that starts anew is away for less. The minute between
# two comparisons is as short as the window in drills, so the number stays.
RECONCILING_WINDOW = minutes(15)
RECONCILING_FAILURES = 5
# One extrapolated window passes.
RECONCILING_HOLD = minutes(1)

# Alertmanager ----------------------------------------------------------------------------------------------------------------

# Firing to delivered: 15 s for critical, 45 s for the others, of which delivery takes the rest.
WAIT_CRITICAL = Duration(5)
WAIT = Duration(30)
INTERVAL_CRITICAL = Duration(30)
INTERVAL = minutes(1)
REPEAT_CRITICAL = hours(1)
# Repeats of what nobody was woken for cost quota, and tell nothing new within a day.
REPEAT_WARNING = hours(12)
REPEAT_INFO = days(1)
# The heartbeat. Alertmanager repeats at the first flush after this has passed, so half the interval gives one a minute.
REPEAT_WATCHDOG = Duration(30)
INTERVAL_WATCHDOG = minutes(1)
