"""Operations on links, addresses, routes, tunnels and the packet filter."""
