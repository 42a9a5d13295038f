"""DSR (2018) and FPR (2019): what they have beyond FastReID-DSR, and their losses."""
