"""The models: the Protocol, a deterministic fake, and the torch backend."""
