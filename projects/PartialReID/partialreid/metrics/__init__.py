"""From distances to the numbers of a test set. Pure: torch and numpy alone."""
