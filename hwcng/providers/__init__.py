"""Where the keys live: the provider abstraction and its backends."""
