"""A gallery on disk: what a network extracted from pictures, kept from one program to the next."""
