"""`mgeo load`: an open-loop generator, and its verdict."""
