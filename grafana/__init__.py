"""Grafana for MGeo: its configuration, and the code that makes its dashboards. Not part of the installed program."""
