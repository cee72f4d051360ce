"""The leak census: everything that an engine could leave behind, listed so it can be compared.

Taken before and after a piece of work, the difference must be empty. Process ids, inode numbers
and ports that the kernel chose differ from run to run and mean nothing, so facts are texts
without them, counted: two shims where one was is a difference, another pid is none.
"""

import contextlib
import json
import os
import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.machine import PrivateMachine, mounts_of

Fact = tuple[str, str]
"""The class of a thing that can leak, and which one it is."""

FD_SLACK = 4
"""How many more descriptors a daemon may hold: connections that clients keep open."""

MOST_DATABASE_FDS = 30
"""The file and its log for each of 14 threads, opened when a thread first reads, and its index."""

_KEPT_ON_PURPOSE = ("removed-logs",)
"""What removed containers leave for some days."""
_OTHER_NAMESPACES = ("mnt", "pid", "ipc", "uts", "time", "cgroup", "user")
_IGNORED_FILES = ("-wal", "-shm", "-journal", ".bpf")
"""Parts of a database, and compiled filters, which are kept for the next container."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Census:
    """What was there at one moment. `daemon_fds` is None when no daemon was looked at."""

    facts: tuple[tuple[Fact, int], ...]
    daemon_fds: int | None


def take(
    machine: PrivateMachine, *, daemon_pid: int | None = None, directories: Iterable[Path] = ()
) -> Census:
    """List what is in the machine now, in fourteen classes.

    `daemon_pid` is as seen from outside; `directories` are the engine's roots, of which the
    entries down to the third level count (deeper ones are the content of images).
    """
    found: Counter[Fact] = Counter()
    roots = tuple(directories)
    for kind, facts in (
        ("mount", _mounts(machine)),
        ("link", _links(machine)),
        ("address", _addresses(machine)),
        ("route", _routes(machine)),
        ("packet filter", _packet_filter(machine)),
        ("cgroup", _cgroup_directories(machine)),
        ("process", _processes(machine)),
        ("zombie", _zombies(machine)),
        ("network namespace", _namespaces(machine, "net")),
        ("namespace", (f for each in _OTHER_NAMESPACES for f in _namespaces(machine, each))),
        ("listening socket", _listening(machine)),
        ("loop device", _loop_devices(roots)),
        ("file", _entries(roots)),
        ("blob", _blobs(roots)),
    ):
        found.update((kind, fact) for fact in facts)
    return Census(
        facts=tuple(sorted(found.items())),
        daemon_fds=None if daemon_pid is None else _descriptors(daemon_pid),
    )


def difference(before: Census, after: Census, *, besides: str = "") -> list[str]:
    """One readable line per thing that came or went; empty when nothing leaked.

    `besides` is a class of facts that is not looked at.
    """
    old, new = dict(before.facts), dict(after.facts)
    lines = []
    for fact in sorted(old.keys() | new.keys()):
        change = new.get(fact, 0) - old.get(fact, 0)
        if change and fact[0] != besides:
            word = "left behind" if change > 0 else "gone"
            lines.append(f"{fact[0]} {word} ({change:+d}): {fact[1]}")
    if before.daemon_fds is not None and after.daemon_fds is not None:
        grown = after.daemon_fds - before.daemon_fds
        if grown > FD_SLACK:
            lines.append(f"daemon descriptors left behind ({grown:+d})")
    return lines


def _descriptors(pid: int) -> int:
    """How many it holds; of the database only those beyond what its threads may have open."""
    others = database = 0
    directory = f"/proc/{pid}/fd"
    for name in os.listdir(directory):
        with contextlib.suppress(FileNotFoundError):
            if "/engine.db" in os.readlink(f"{directory}/{name}"):
                database += 1
            else:
                others += 1
    return others + max(0, database - MOST_DATABASE_FDS)


def settled_difference(
    before: Census,
    take_again: Callable[[], Census],
    *,
    within_s: float = 5,
    besides: str = "",
) -> list[str]:
    """The difference once it is empty, or what is left of it when the time is over.

    Removal is often finished by somebody else (the kernel, a shim) a moment after the answer.
    """
    deadline = time.monotonic() + within_s
    while True:
        lines = difference(before, take_again(), besides=besides)
        if not lines or time.monotonic() > deadline:
            return lines
        time.sleep(0.05)  # polling the kernel: nothing tells when the last cgroup is gone


def _mounts(machine: PrivateMachine) -> Iterator[str]:
    """Mounts that were made in the machine: those of the host come and go by other hands."""
    for number, mount in mounts_of(machine.pid).items():
        if number not in machine.inherited_mounts:
            yield mount


def _links(machine: PrivateMachine) -> Iterator[str]:
    listed = json.loads(machine.run("ip", "-json", "link").stdout or "[]")
    for link in listed:
        name = link["ifname"]
        # The other end of a container's veth has a chosen name: the bridge tells what it is.
        yield f"a port of {link['master']}" if "master" in link else name


def _packet_filter(machine: PrivateMachine) -> Iterator[str]:
    listed = json.loads(machine.run("nft", "-j", "list", "ruleset").stdout or "{}")
    for entry in listed.get("nftables", []):
        for kind, thing in entry.items():
            if kind == "metainfo":
                continue
            elements = thing.pop("elem", [])
            thing.pop("handle", None)
            where = f"{thing.get('table', thing.get('name'))} {thing.get('name', '')}"
            if kind == "rule":
                where = f"{thing['table']} {thing['chain']} {_without_counters(thing['expr'])}"
            yield f"{kind} {where}"
            for element in elements:
                yield f"element of {where}: {json.dumps(element)}"


def _without_counters(expressions: list[dict[str, Any]]) -> str:
    return json.dumps([each for each in expressions if "counter" not in each])


def _cgroup_directories(machine: PrivateMachine) -> Iterator[str]:
    for top in machine.cgroups:
        for directory, _names, _files in os.walk(top):
            path = os.path.relpath(directory, top)
            yield f"{top.parent.name}:{path}"


def _processes(machine: PrivateMachine) -> Iterator[str]:
    for state, command in _states_and_commands(machine):
        if state != "Z":
            yield command


def _zombies(machine: PrivateMachine) -> Iterator[str]:
    for state, command in _states_and_commands(machine):
        if state == "Z":
            yield command


def _states_and_commands(machine: PrivateMachine) -> Iterator[tuple[str, str]]:
    for pid in machine.processes():
        with contextlib.suppress(OSError, IndexError, StopIteration):
            status = Path(f"/proc/{pid}/status").read_text()
            state = next(x for x in status.splitlines() if x.startswith("State:")).split()[1]
            command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
            name = Path(f"/proc/{pid}/comm").read_text().strip()
            yield state, command.strip()[:200] or name


def _namespaces(machine: PrivateMachine, kind: str) -> Iterator[str]:
    """Namespaces other than the machine's own that a process is in."""
    seen = set()
    for pid in machine.processes():
        with contextlib.suppress(OSError):
            seen.add(os.readlink(f"/proc/{pid}/ns/{kind}"))
    for _each in seen - {os.readlink(f"/proc/{machine.pid}/ns/{kind}")}:
        yield f"{kind}, with a process in it"


def _addresses(machine: PrivateMachine) -> Iterator[str]:
    """Addresses of links that are no port of a bridge; the kernel's own (fe80::) change."""
    for link in json.loads(machine.run("ip", "-json", "address").stdout or "[]"):
        for address in link.get("addr_info", ()) if "master" not in link else ():
            if address.get("scope") != "link":
                yield f"{address['local']}/{address['prefixlen']} on {link['ifname']}"


def _routes(machine: PrivateMachine) -> Iterator[str]:
    for route in json.loads(machine.run("ip", "-json", "-4", "route").stdout or "[]"):
        yield f"{route['dst']} by {route.get('gateway', '')} {route.get('dev', '')}"


def _loop_devices(roots: Iterable[Path]) -> Iterator[str]:
    """Of the whole machine, those whose file is in the engine's roots."""
    for device in Path("/sys/block").glob("loop*/loop/backing_file"):
        with contextlib.suppress(OSError):
            backing = Path(device.read_text().strip())
            if any(backing.is_relative_to(root) for root in roots):
                yield str(backing)


def _blobs(roots: Iterable[Path]) -> Iterator[str]:
    """Content by digest, which lies deeper than `_entries` looks."""
    for root in roots:
        for path in root.glob("content/blobs/*/*"):
            yield str(path)


def _listening(machine: PrivateMachine) -> Iterator[str]:
    """Sockets that could be connected to: TCP and Unix listeners, bound UDP and TCP ports."""
    network = Path(f"/proc/{machine.pid}/net")
    for protocol in ("tcp", "tcp6", "udp", "udp6"):
        for line in (network / protocol).read_text().splitlines()[1:]:
            fields = line.split()
            address, peer, state = fields[1], fields[2], fields[3]
            if state == "0A" or (protocol.startswith("udp") and peer.endswith(":0000")):
                yield f"{protocol} {address}"
    for line in (network / "unix").read_text().splitlines()[1:]:
        fields = line.split()
        # The flag __SO_ACCEPTCON marks listeners (net/unix/af_unix.c); the path, if any, is last.
        if int(fields[3], 16) & 0x10000:
            yield f"unix {fields[7] if len(fields) > 7 else 'without a name'}"


def _entries(directories: Iterable[Path]) -> Iterator[str]:
    for root in directories:
        for directory, names, files in os.walk(root):
            depth = len(Path(directory).relative_to(root).parts)
            names[:] = [name for name in names if name not in _KEPT_ON_PURPOSE]
            for name in (*names, *files):
                if not name.endswith(_IGNORED_FILES):
                    # A layer that went and came again has another number.
                    yield re.sub(r"/[0-9]+(?=/|$)", "/N", os.path.join(directory, name))
            if depth == 2:
                names.clear()
