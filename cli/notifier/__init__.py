"""`mgeo notifier`: the process that tells DingTalk groups what Alertmanager says, and its tools."""
