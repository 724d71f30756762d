"""`mgeo audit`: whether every store has what was served."""
