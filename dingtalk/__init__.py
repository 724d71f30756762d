"""The notifier: tells DingTalk groups what Alertmanager says, and loses nothing."""
