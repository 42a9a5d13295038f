"""Partial person re-identification on FastReID."""
