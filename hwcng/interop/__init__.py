"""One small adapter per library that needs one. Importing this package loads none of them."""
