"""Operations that make a process a container's: namespaces, cgroups, limits, identity."""
