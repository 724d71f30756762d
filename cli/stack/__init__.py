"""The native programs of the telemetry stack: which ones, which versions, where they come from."""
