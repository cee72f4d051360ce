"""What containers are called: the resolver's view, and the files of a sandbox."""
