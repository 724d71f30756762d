"""What became of a request: the stores that can tell, behind one Protocol."""
