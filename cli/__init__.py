"""The `mgeo` program; the only package that may import all others."""
