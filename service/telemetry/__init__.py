"""One event per inference, and the signals made from it."""
