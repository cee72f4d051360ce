"""What is said to the engine as a whole: what it is, what it takes, and which engine is asked."""
