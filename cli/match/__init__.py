"""`mgeo match`: answers in process, for one pair or a file of any length."""
