"""Test sets made of others: queries cut, queries hidden, identities held out of training."""
