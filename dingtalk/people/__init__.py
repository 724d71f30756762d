"""What people do from a message: take alerts over, silence them, see all of them; and who is asked when nobody does."""
