"""`SyntheticPartial`: pedestrians that the project draws."""
