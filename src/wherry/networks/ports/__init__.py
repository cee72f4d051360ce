"""Ports of the host that lead to containers: what was asked for, and who holds them."""
