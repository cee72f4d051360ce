"""Id maps: which ids of the host a user namespace's ids are (user_namespaces(7))."""

IdMap = tuple[tuple[int, int, int], ...]
"""Ranges: the first id inside, the first id outside, how many."""


def lines(id_map: IdMap) -> str:
    """As /proc/PID/uid_map and gid_map take it."""
    return "".join(f"{inside} {outside} {count}\n" for inside, outside, count in id_map)
