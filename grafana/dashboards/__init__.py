"""Dashboards as code: `python -m grafana.dashboards` writes the JSON files beside this one."""
