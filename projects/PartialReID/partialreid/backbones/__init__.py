"""Networks with the map that a pyramid needs, and their ImageNet weights."""
