"""A journal as a script: what a root user types to build the same container by hand.

Theory of operation. A container is made in four places, and so is the script:

    host     directories, cgroups and their limits, the network; then a new process
    born     that process, in its own pid namespace: enters the cgroups, leaves the others
    inside   in its own mount namespace: root, mounts, devices, masks
    last     root changed, privileges given up, and the program (`last_steps` says why in Python)

The first three are the command lines of the operations, in the order of the journal; where they
would wrap each other (`unshare ... -- nsenter ... --`), they are put together here. A journal
that was read back knows what the kernel showed, so names that had links in them are the resolved
ones. Steps that no command can take are comments.
"""

import os
import re
import shlex
from collections.abc import Iterator, Sequence

from wherry.kit.values import dataclass, replace
from wherry.operations.files.held_mounts import AttachRoot, HoldDevice
from wherry.operations.files.held_roots import HoldFuseOverlay
from wherry.operations.files.layers import PrepareSnapshot
from wherry.operations.files.masks import MaskPath, ProtectPath
from wherry.operations.files.mounts import BindMount, MountFilesystem, RemountReadOnly
from wherry.operations.files.nodes import MakeDevice, MakeDirectory, MakeLink
from wherry.operations.files.roots import MountOverlay, PivotRoot
from wherry.operations.last_steps import last_steps, secret_names
from wherry.operations.network.links import PinNetworkNamespace
from wherry.operations.network.port_entries import PublishPorts
from wherry.operations.one_line import comment, one_line
from wherry.operations.plan import Entry, Journal, Operation, Outcome
from wherry.operations.processes.cgroups import MakeCgroup
from wherry.operations.processes.namespaces import (
    JoinNamespace,
    Unshare,
    UnshareForChildren,
    options_of,
)
from wherry.operations.processes.process import Fork, NewSession
from wherry.operations.processes.sysctls import SetSysctl

_HEAD = """\
#!/bin/sh
# {title}
#
# Run it as root while the container does not run; wherryd is not needed.
# It needs util-linux, iproute2, nftables and Python.
set -eu
umask 0000
"""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
"""What a shell takes for the name of a variable; an image may have others."""
_SECRET = ': "${{{name}:?the journal keeps no secrets: set it before running this}}"\n'


@dataclass(slots=True)
class _Places:
    """The entries of a journal by where they happen."""

    host: list[Entry]
    born: list[Entry]
    inside: list[Entry]
    last: list[Entry]


def render_script(journal: Journal, *, title: str, seccomp_path: str, python: str) -> str:
    """The script of a journal of a start.

    `seccomp_path` is the compiled filter's file, `python` an interpreter of the host.
    """
    done = [entry for entry in journal if entry.outcome is not Outcome.FAILED]
    done = _with_root_mounted(_with_network_made(done))
    places = _placed(done)
    bundle = next(
        (os.path.dirname(each.path) for each in _operations(done, MakeDirectory)), "/run"
    )
    parts = [
        _HEAD.format(title=one_line(title)),
        *(_SECRET.format(name=name) for name in secret_names(done) if _NAME.fullmatch(name)),
        f"mkdir -p {shlex.quote(bundle)} && cd {shlex.quote(bundle)}\n",
        _cleaned(places.host, bundle),
        _section("on the host", _lines(places.host)),
        _program("last", last_steps(places.last, seccomp_path)),
        _program("inside", _inside(places.inside, python)),
        _program("born", _born(places.born)),
        _section("a new process", [_launch(places.host)]),
    ]
    return "\n".join(part for part in parts if part)


def _placed(entries: Sequence[Entry]) -> _Places:
    places = _Places([], [], [], [])
    here = places.host
    for entry in entries:
        if isinstance(entry.operation, Fork):
            here = places.born
        if isinstance(entry.operation, PivotRoot):
            here = places.last
        here.append(entry)
        if isinstance(entry.operation, Unshare) and here is places.born:
            here = places.inside
    return places


def _with_network_made(entries: Sequence[Entry]) -> list[Entry]:
    """The network namespace is made by the command that keeps it (`unshare --net=PATH true`);
    what was set in it before it had that name is set through the name."""
    made = [entry for entry in entries if isinstance(entry.operation, PinNetworkNamespace)]
    if not made:
        return list(entries)
    pin = made[0]
    assert isinstance(pin.operation, PinNetworkNamespace)
    path, end = pin.operation.path, list(entries).index(pin)
    before = [entry for entry in entries[:end] if not isinstance(entry.operation, Unshare)]
    inside = [entry for entry in before if isinstance(entry.operation, SetSysctl)]
    return [
        *(entry for entry in before if entry not in inside),
        pin,
        *(replace(each, operation=_entered(each.operation, path)) for each in inside),
        *entries[end + 1 :],
    ]


def _with_root_mounted(entries: Sequence[Entry]) -> list[Entry]:
    """A root that is held until it is attached is mounted there at once, and the host sees it:
    no command holds one. Where the container's process comes to, it is not allowed to any more."""
    target = next((e.operation.target for e in entries if isinstance(e.operation, AttachRoot)), "")
    shown: list[Entry] = []
    is_mounted = False
    for entry in entries:
        match entry.operation:
            case HoldDevice() | HoldFuseOverlay() as held:
                mounted = _RootMounted(held=held, target=target, why=held.why)
                shown.append(replace(entry, operation=mounted))
                is_mounted = True
            case AttachRoot() if is_mounted:
                pass
            case _:
                shown.append(entry)
    return shown


@dataclass(frozen=True, slots=True, kw_only=True)
class _RootMounted(Operation):
    """A root that is mounted where it is going to be used."""

    held: HoldDevice | HoldFuseOverlay
    target: str

    def describe(self) -> str:
        return self.held.describe()

    def shell(self) -> str:
        return f"({self.held.mounted(self.target)})"

    def undo_shell(self) -> str:
        return f"umount -l {shlex.quote(self.target)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entered(Operation):
    """Another operation, from inside a network namespace."""

    inner: Operation
    path: str

    def describe(self) -> str:
        return f"{self.inner.describe()} inside"

    def shell(self) -> str:
        return f"nsenter --net={shlex.quote(self.path)} {self.inner.shell()}"


def _entered(operation: Operation, path: str) -> Operation:
    return _Entered(inner=operation, path=path, why=operation.why)


def _born(entries: Sequence[Entry]) -> str:
    """Into the cgroups, then one command line through all namespaces."""
    plain = [entry for entry in entries if not isinstance(entry.operation, _WRAPPING)]
    return "\n".join((*_lines(plain), f'exec {_wrapped(entries)}sh -euc "$1" inside "$2"', ""))


def _inside(entries: Sequence[Entry], python: str) -> str:
    return "\n".join((*_lines(entries), f'exec {shlex.quote(python)} -I -S -c "$1"', ""))


_WRAPPING = (JoinNamespace, Unshare, UnshareForChildren, NewSession)


def _wrapped(entries: Sequence[Entry]) -> str:
    """`setsid nsenter --net=... unshare --mount ... `, in the order of the journal."""
    words = []
    for operation in (entry.operation for entry in entries):
        match operation:
            case NewSession():
                words.append("setsid ")
            case JoinNamespace():
                words.append(operation.shell().removesuffix("-- ..."))
            case Unshare(namespaces=names):
                kept = "--propagation unchanged " if "mnt" in names else ""
                words.append(f"unshare {options_of(names)} {kept}")
            case UnshareForChildren(namespaces=names):
                words.append(f"unshare {options_of(names)} --fork --kill-child ")
    return "".join(words)


def _launch(host: Sequence[Entry]) -> str:
    """The new process, and its exit code as ours."""
    wrapped = _wrapped([entry for entry in host if not _is_of_network_job(entry.operation)])
    return f'{wrapped}sh -euc "$born" born "$inside" "$last"'


def _is_of_network_job(operation: Operation) -> bool:
    """Whether it is how the maker of the network namespace went there and came back."""
    match operation:
        case Unshare() | JoinNamespace(namespace="net"):
            return True
    return False


def _lines(entries: Sequence[Entry]) -> Iterator[str]:
    for entry in entries:
        if isinstance(entry.operation, _WRAPPING):
            continue
        yield comment(f"{entry.operation.describe()}: {entry.operation.why}")
        yield from _commands(entry)


def _commands(entry: Entry) -> Iterator[str]:
    evidence = entry.evidence
    if evidence.get("skipped") or evidence.get("what") == "missing":
        yield "# (this kernel has no such file)"
        return
    resolved = _resolved(entry)
    match resolved:
        case MountOverlay():
            yield f"({resolved.shell()})"
        case PinNetworkNamespace(path=path):
            yield f"mkdir -p {shlex.quote(os.path.dirname(path))} && {resolved.shell()}"
        case PrepareSnapshot():
            yield f"[ -d {shlex.quote(resolved.directory)} ] || {resolved.shell()}"
        case MountFilesystem(destination=target):
            yield f"mkdir -p {shlex.quote(f'rootfs{target}')} && {resolved.shell()}"
        case BindMount(destination=target):
            yield _made_target(target, is_file="inode" in evidence and _is_file(entry))
            yield resolved.shell()
        case MakeDevice(path=path) | MakeLink(path=path):
            if evidence.get("made"):
                yield f"mkdir -p {shlex.quote(f'rootfs{os.path.dirname(path)}')}"
            if evidence.get("replaced"):
                yield f"rm -f {shlex.quote(f'rootfs{path}')}"
            yield resolved.shell()
        case _:
            shell = resolved.shell()
            if shell == f"# {resolved.describe()}":
                return  # It has been said.
            if shell.startswith("# "):
                yield comment(shell.removeprefix("# "))
            elif shell.startswith("keyctl "):
                # A program that few hosts have, and a keyring that ends with it.
                yield comment(shell)
            elif shell.startswith("cd "):
                yield f"({shell})"  # It must not take us with it.
            else:
                yield shell


def _resolved(entry: Entry) -> Operation:
    """The operation with the name that its path turned out to have in the root."""
    operation, point = entry.operation, entry.evidence.get("mount_point")
    if not isinstance(point, str):
        return operation
    match operation:
        case MountFilesystem() | BindMount() | RemountReadOnly():
            return replace(operation, destination=point)
        case MaskPath() | ProtectPath():
            return replace(operation, path=point)
    return operation


def _is_file(entry: Entry) -> bool:
    operation = entry.operation
    assert isinstance(operation, BindMount)
    return bool(entry.evidence.get("created")) or os.path.isfile(operation.source)


def _made_target(target: str, *, is_file: bool) -> str:
    place = shlex.quote(f"rootfs{target}")
    if not is_file:
        return f"mkdir -p {place}"
    above = shlex.quote(f"rootfs{os.path.dirname(target)}")
    return f"mkdir -p {above} && {{ [ -e {place} ] || : > {place}; }}"


def _cleaned(host: Sequence[Entry], bundle: str) -> str:
    """A trap that takes back what outlives the container's process, last first."""
    lines = [line for entry in reversed(host) for line in _undone(entry.operation)]
    lines.append(f"cd / && rmdir {shlex.quote(bundle)}")
    body = "".join(f"    {line} || true\n" for line in lines)
    return (
        "undo() {\n    trap - EXIT\n" + body + "}\ntrap undo EXIT\ntrap 'exit 143' TERM INT HUP\n"
    )


def _undone(operation: Operation) -> Iterator[str]:
    match operation:
        case MakeCgroup(path=path):
            yield f"rmdir {shlex.quote(path)}"
        case PinNetworkNamespace(path=path):
            yield f"umount -l {shlex.quote(path)} && rm -f {shlex.quote(path)}"
        case PublishPorts() | _RootMounted():
            yield operation.undo_shell()
        case MakeDirectory(path=path):
            yield f"rmdir {shlex.quote(path)}"


def _section(name: str, lines: Iterator[str] | list[str]) -> str:
    return "\n".join((f"# -- {name} {'-' * (80 - len(name))}", *lines, ""))


def _program(name: str, text: str) -> str:
    """A shell variable that holds a program, to be handed on to where it runs."""
    end = f"END_OF_{name.upper()}"
    while end in text:  # A name may have been chosen so.
        end += "_"
    return f"{name}=$(cat <<'{end}'\n{text.rstrip()}\n{end}\n)\n"


def _operations(entries: Sequence[Entry], kind: type[MakeDirectory]) -> list[MakeDirectory]:
    return [entry.operation for entry in entries if isinstance(entry.operation, kind)]
