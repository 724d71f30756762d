"""The notifier's own pages: queue, robots, quota, messages, runbooks."""
