"""The engine's table of the packet filter, its guard, and the filters of others."""
