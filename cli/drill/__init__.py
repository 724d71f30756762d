"""Fire drills: a fault is put into a running stack, and exactly the alerts that it must cause have to reach the groups."""
