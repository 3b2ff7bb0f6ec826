"""A day at the auction house, played on the lab in minutes."""
