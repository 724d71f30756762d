"""What the server watches around itself: the disks, the clocks of the stores, the newest audit, and the calendar."""
