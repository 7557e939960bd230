"""What the families of keys try a token with."""
