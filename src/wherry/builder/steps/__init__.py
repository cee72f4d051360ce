"""What the instructions of a Dockerfile do, each on the state that the one before it left."""
