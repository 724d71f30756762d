"""Rules and routing as code: `python -m prometheus.alerting` writes the rule files and Alertmanager's configuration."""
