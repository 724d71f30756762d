"""Rules and routing as code: `python -m prometheus.alerting` writes prometheus/rules, prometheus/alerts and alertmanager/alertmanager.yml."""
