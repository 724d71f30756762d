"""`mgeo lookup`: the story of a request on a terminal."""
