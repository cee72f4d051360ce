"""Kernel parameters of a container: only those that belong to a namespace of its own.

Anything else would change the host. The key is a path below /proc/sys in the end, so its
letters are few (CVE-2022-0811 put further assignments into a value, and `..` into keys).
"""

import re
from collections.abc import Mapping

from wherry.model.errors import InvalidValue
from wherry.specgen.host import DEFAULT_SYSCTLS, HostFacts

_KEY = re.compile(r"[A-Za-z0-9_:@-]+(?:[./][A-Za-z0-9_:@-]+)*")
_VALUE = re.compile(r"[A-Za-z0-9_.:,/ \t-]*")
_LONGEST_VALUE = 4096
_OF_IPC = frozenset({
    "kernel.msgmax", "kernel.msgmnb", "kernel.msgmni", "kernel.sem", "kernel.shmall",
    "kernel.shmmax", "kernel.shmmni", "kernel.shm_rmid_forced",
})  # fmt: skip


def container_sysctls(
    wanted: Mapping[str, str],
    *,
    owns_network: bool,
    joins_network: bool,
    owns_ipc: bool,
    owns_uts: bool,
    host: HostFacts,
) -> dict[str, str]:
    """The parameters to set, defaults first.

    `owns_network` is false on the host's network; `joins_network` is true where the namespace
    is another container's, which has had the defaults already.

    Raises: InvalidValue for a parameter that is not of a namespace of the container.
    """
    chosen = {}
    if owns_network and not joins_network:
        chosen = {name: DEFAULT_SYSCTLS[name] for name in DEFAULT_SYSCTLS if name in host.sysctls}
    for name, value in wanted.items():
        problem = _problem(name, owns_network=owns_network, owns_ipc=owns_ipc, owns_uts=owns_uts)
        if problem:
            raise InvalidValue(f'sysctl "{name}" {problem}')
        if len(value) > _LONGEST_VALUE or not _VALUE.fullmatch(value):
            raise InvalidValue(f'sysctl "{name}" has an invalid value')
        chosen[name] = value
    return chosen


def _problem(name: str, *, owns_network: bool, owns_ipc: bool, owns_uts: bool) -> str:
    if not _KEY.fullmatch(name):
        return "is not a valid name"
    dotted = _dotted(name)
    if dotted.startswith("net."):
        return "" if owns_network else "not allowed in host network namespace"
    if dotted in _OF_IPC or dotted.startswith("fs.mqueue."):
        return "" if owns_ipc else "is not allowed in the hosts ipc namespace"
    if dotted == "kernel.domainname":
        return "" if owns_uts else "is not allowed in the hosts uts namespace"
    if dotted == "kernel.hostname":
        return 'is not allowed as it conflicts with the OCI "hostname" field'
    return "is not in a separate kernel namespace"


def _dotted(name: str) -> str:
    """The name with dots between its parts: the first separator says which way it is written."""
    dot, slash = name.find("."), name.find("/")
    if slash >= 0 and (dot < 0 or slash < dot):
        return name.translate(str.maketrans("./", "/."))
    return name
