"""`build`: what goes to the engine, what is told meanwhile, and what comes back."""
