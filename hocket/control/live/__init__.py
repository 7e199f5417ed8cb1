"""A task that is kept alive: decisions as a function of events, and the session that carries them out."""
