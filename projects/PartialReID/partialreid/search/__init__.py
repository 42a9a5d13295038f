"""Own pictures in, answers out: extraction, galleries, answers, and the class that holds them."""
