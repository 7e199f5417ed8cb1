"""The runtime: nodes that execute programs, and sessions that give them requests."""
