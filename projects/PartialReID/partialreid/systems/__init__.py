"""DSR (2018), FPR (2019) and ours: what they have beyond FastReID-DSR, and their losses."""
