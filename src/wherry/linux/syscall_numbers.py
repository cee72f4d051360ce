"""Numbers of the system calls that came after the tables of common libseccomp builds.

Since Linux 5.1 every architecture gives a new call the same number (asm-generic/unistd.h,
asm/unistd_64.h), except for the few that belong to one architecture.
"""

import os

_EVERYWHERE = {
    "futex_waitv": 449,
    "set_mempolicy_home_node": 450,
    "cachestat": 451,
    "fchmodat2": 452,
    "map_shadow_stack": 453,
    "futex_wake": 454,
    "futex_wait": 455,
    "futex_requeue": 456,
    "statmount": 457,
    "listmount": 458,
    "lsm_get_self_attr": 459,
    "lsm_set_self_attr": 460,
    "lsm_list_modules": 461,
    "mseal": 462,
    "setxattrat": 463,
    "getxattrat": 464,
    "listxattrat": 465,
    "removexattrat": 466,
    "open_tree_attr": 467,
    "file_getattr": 468,
    "file_setattr": 469,
    "listns": 470,
}
_OF_ONE_MACHINE = {
    "x86_64": {"uretprobe": 335, "uprobe": 336},
    "riscv64": {"riscv_hwprobe": 258},
}
_SHARED_MACHINES = frozenset({"x86_64", "aarch64", "riscv64", "loongarch64", "s390x", "ppc64le"})


def newer_numbers(machine: str = "") -> dict[str, int]:
    """Numbers by name on a machine as uname(2) names it; empty where we don't know them."""
    machine = machine or os.uname().machine
    if machine not in _SHARED_MACHINES:
        return {}
    return _EVERYWHERE | _OF_ONE_MACHINE.get(machine, {})
