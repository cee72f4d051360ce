"""Operations on files and mounts: layers, volumes, and what a container sees of both."""
