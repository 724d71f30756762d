"""Prometheus for MGeo: its configuration, and the code that makes its rules. Not part of the installed program."""
