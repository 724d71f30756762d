"""What was received and what is told of it, in one SQLite file that survives a kill at any moment."""
