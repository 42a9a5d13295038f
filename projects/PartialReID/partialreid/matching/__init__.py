"""From columns to distances. Pure: tensors in, tensors out; torch and numpy alone."""
