"""Text generation: servers as processes, their streams, the load on them, and the log of tokens."""
