"""Config keys: their files found, their values in range, each of them read by somebody."""
