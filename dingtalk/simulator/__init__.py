"""A DingTalk with group robots that keeps DingTalk's rules, for tests, drills and the default stack."""
