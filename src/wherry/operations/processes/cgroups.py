"""Cgroups: directories, limits, device rules, and the move into them.

Version 1 and 2 differ in the names of files and in what they hold; the planner knows both.
"""

import errno
import os
import shlex
import time
from typing import ClassVar

from wherry.kit.values import dataclass
from wherry.linux import cgroups, device_filter
from wherry.linux.device_filter import DeviceFilterRule
from wherry.linux.mounts import closing
from wherry.operations.looking import GONE, file_finding, process_directory
from wherry.operations.plan import Aspect, Call, Evidence, Finding, Hands, Operation, Verdict

_REMOVAL_TRIES = 60
_LONGEST_PAUSE_S = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class MakeCgroup(Operation):
    """Make a cgroup directory, and the engine's own directories above it when missing.

    Those above stay: they belong to the engine, not to one container.
    """

    kind: ClassVar[str] = "make-cgroup"
    aspect: ClassVar[Aspect] = Aspect.CGROUP

    path: str
    inherits: tuple[str, ...] = ()
    """Files that begin empty in version 1 and must be filled before a process may enter:
    cpuset.cpus and cpuset.mems."""

    def do(self, hands: Hands) -> Evidence:
        made, above = self._make()
        copied = sum(_inherit(self.path, file) for file in self.inherits)
        return {"path": self.path, "made": made, "above": above, "copied": copied}

    def _make(self) -> tuple[bool, int]:
        """Whether the directory is new, and how many above it are."""
        try:
            os.mkdir(self.path, 0o755)
        except FileNotFoundError:
            above = _make_parents(os.path.dirname(self.path), clone=bool(self.inherits))
            os.mkdir(self.path, 0o755)
            return True, above
        except FileExistsError:
            if cgroups.processes(self.path):
                raise OSError(errno.EBUSY, f"{self.path} has processes in it") from None
            return False, 0
        return True, 0

    def undo(self, hands: Hands, evidence: Evidence) -> None:
        """Remove it with what is below; a process that is ending keeps it busy for a moment."""
        pause_s = 0.0005
        for attempt in range(_REMOVAL_TRIES):
            try:
                _remove_tree(self.path)
                return
            except FileNotFoundError:
                return
            except OSError as error:
                if error.errno != errno.EBUSY or attempt == _REMOVAL_TRIES - 1:
                    raise
            time.sleep(pause_s)
            pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)

    def check(self, evidence: Evidence) -> Finding:
        if not os.path.isdir(self.path):
            return Finding(Verdict.GONE, f"{self.path} does not exist")
        count = len(cgroups.processes(self.path))
        return Finding(Verdict.STILL_TRUE, f"{count} process{'' if count == 1 else 'es'} in it")

    def describe(self) -> str:
        return f"make the cgroup {self.path}"

    def shell(self) -> str:
        path, above = shlex.quote(self.path), shlex.quote(os.path.dirname(self.path))
        filled = (f"cat {above}/{file} > {path}/{file}" for file in self.inherits)
        return " && ".join((f"mkdir -p {path}", *filled))

    def calls(self, evidence: Evidence) -> tuple[Call, ...]:
        above = tuple(
            call
            for _ in range(int(evidence.get("above") or 0))
            for call in (
                Call("mkdir"),
                *(Call("openat", (file, "O_WRONLY")) for file in self.inherits),
            )
        )
        copied = tuple(
            Call("openat", (file, "O_WRONLY"))
            for file in self.inherits[: int(evidence.get("copied") or 0)]
        )
        return (*above, Call("mkdir", (f'"{self.path}"',)), *copied)


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteCgroupFile(Operation):
    """Write one limit or switch of a cgroup."""

    kind: ClassVar[str] = "write-cgroup-file"
    aspect: ClassVar[Aspect] = Aspect.CGROUP

    path: str
    value: str
    is_optional: bool = False
    """Some kernels are built without it (swap accounting) or refuse it by now (limits of kernel
    memory, since 5.16): then it is skipped."""
    otherwise: tuple[str, ...] = ()
    """The path and value to write where there is no such file: another scheduler's name for it."""

    def do(self, hands: Hands) -> Evidence:
        path, value = self.path, self.value
        if self.otherwise and not os.path.exists(path):
            path, value = self.otherwise
        try:
            _write(path, value)
        except OSError as error:
            if self.is_optional and error.errno in (errno.ENOENT, errno.EOPNOTSUPP):
                return {"skipped": True}
            if error.errno == errno.ENOENT and os.path.isdir(os.path.dirname(path)):
                raise OSError(errno.ENOTSUP, "this kernel's controller has no such file") from None
            raise
        return {"path": path, "seen": _read(path)}

    def check(self, evidence: Evidence) -> Finding:
        if evidence.get("skipped"):
            return Finding(Verdict.STILL_TRUE, "this kernel has no such file")
        return file_finding(str(evidence["path"]), str(evidence["seen"]))

    def describe(self) -> str:
        return f"set {os.path.basename(self.path)} to {self.value}"

    def shell(self) -> str:
        return f"echo {shlex.quote(self.value)} > {shlex.quote(self.path)}"

    def calls(self, evidence: Evidence) -> tuple[Call, ...]:
        if evidence.get("skipped"):
            return ()
        return (_opened_for_writing(str(evidence.get("path", self.path))),)


@dataclass(frozen=True, slots=True, kw_only=True)
class EnableControllers(Operation):
    """Let a version 2 cgroup pass controllers on to the cgroups below it.

    It is made when missing and stays: it is the engine's, above its containers.
    """

    kind: ClassVar[str] = "enable-controllers"
    aspect: ClassVar[Aspect] = Aspect.CGROUP

    path: str
    controllers: tuple[str, ...]

    def do(self, hands: Hands) -> Evidence:
        file = f"{self.path}/cgroup.subtree_control"
        made = _made(self.path)
        enabled = cgroups.read_text(self.path, "cgroup.subtree_control").split()
        missing = [each for each in self.controllers if each not in enabled]
        if missing:
            _write(file, " ".join(f"+{each}" for each in missing))
        return {"added": " ".join(missing), "made": made}

    def check(self, evidence: Evidence) -> Finding:
        enabled = cgroups.read_text(self.path, "cgroup.subtree_control").split()
        same = set(self.controllers) <= set(enabled)
        return Finding(Verdict.STILL_TRUE if same else Verdict.CHANGED, " ".join(enabled))

    def describe(self) -> str:
        return f"pass {', '.join(self.controllers)} on below {self.path}"

    def shell(self) -> str:
        words = " ".join(f"+{each}" for each in self.controllers)
        return f"echo '{words}' > {shlex.quote(self.path)}/cgroup.subtree_control"

    def calls(self, evidence: Evidence) -> tuple[Call, ...]:
        path = f"{self.path}/cgroup.subtree_control"
        made = (Call("mkdir", (f'"{self.path}"',)),) if evidence.get("made") else ()
        return made + ((_opened_for_writing(path),) if evidence.get("added") else ())


@dataclass(frozen=True, slots=True, kw_only=True)
class SetDeviceRules(Operation):
    """Say which devices may be opened and made, by version 1's files: `c 1:3 rwm` a rule."""

    kind: ClassVar[str] = "set-device-rules"
    aspect: ClassVar[Aspect] = Aspect.SECURITY

    path: str
    rules: tuple[tuple[str, str], ...]
    """`allow` or `deny`, and the rule; in the order of writing."""

    def do(self, hands: Hands) -> Evidence:
        opened = {
            verb: os.open(f"{self.path}/devices.{verb}", os.O_WRONLY | os.O_CLOEXEC)
            for verb in ("deny", "allow")
        }
        try:
            for verb, rule in self.rules:
                os.write(opened[verb], rule.encode("ascii"))
        finally:
            for each in opened.values():
                os.close(each)
        return {"path": self.path, "allowed": cgroups.read_text(self.path, "devices.list")}

    def check(self, evidence: Evidence) -> Finding:
        return file_finding(f"{self.path}/devices.list", str(evidence["allowed"]))

    def describe(self) -> str:
        allowed = sum(verb == "allow" for verb, _ in self.rules)
        return f"device rules: {allowed} allowed, {len(self.rules) - allowed} denied"

    def shell(self) -> str:
        lines = (f"echo '{rule}' > devices.{verb}" for verb, rule in self.rules)
        return f"cd {shlex.quote(self.path)} && {' && '.join(lines)}"

    def calls(self, evidence: Evidence) -> tuple[Call, ...]:
        return tuple(_opened_for_writing(f"{self.path}/devices.{x}") for x in ("deny", "allow"))


@dataclass(frozen=True, slots=True, kw_only=True)
class AttachDeviceFilter(Operation):
    """Say which devices may be opened and made, by version 2's BPF program."""

    kind: ClassVar[str] = "attach-device-filter"
    aspect: ClassVar[Aspect] = Aspect.SECURITY

    path: str
    rules: tuple[tuple[str, str], ...]
    """As in `SetDeviceRules`."""

    def do(self, hands: Hands) -> Evidence:
        program = device_filter.compile_filter(
            tuple(_filter_rule(verb, rule) for verb, rule in self.rules)
        )
        with closing(_opened_cgroup(self.path)) as cgroup:
            number = device_filter.attach_filter(cgroup, program)
        return {"path": self.path, "instructions": len(program) // 8, "program": number}

    def check(self, evidence: Evidence) -> Finding:
        if not os.path.isdir(self.path):
            return Finding(Verdict.GONE, f"{self.path} does not exist")
        with closing(_opened_cgroup(self.path)) as cgroup:
            attached = device_filter.attached_filters(cgroup)
        if evidence.get("program") not in attached:
            return Finding(Verdict.GONE, f"program {evidence.get('program')} is not attached")
        same = len(attached) == 1
        numbers = ", ".join(map(str, attached))
        return Finding(
            Verdict.STILL_TRUE if same else Verdict.CHANGED,
            f"the cgroup has {'program' if same else 'programs'} {numbers}",
        )

    def describe(self) -> str:
        allowed = sum(verb == "allow" for verb, _ in self.rules)
        return f"device filter: {allowed} rules allow, {len(self.rules) - allowed} deny"

    def shell(self) -> str:
        return f"# bpftool cgroup attach {self.path} cgroup_device PROGRAM multi"

    def calls(self, evidence: Evidence) -> tuple[Call, ...]:
        return (Call("bpf", ("BPF_PROG_LOAD",)), Call("bpf", ("BPF_PROG_ATTACH",)))


@dataclass(frozen=True, slots=True, kw_only=True)
class EnterCgroups(Operation):
    """Move the calling process, which has one thread, into cgroups.

    In version 1 by `tasks`, not `cgroup.procs`: a thread that moves only itself spares the
    kernel the wait for an RCU grace period (kernel/cgroup/cgroup.c, "single-thread
    migration"), 6 to 20 ms on an idle machine.
    """

    kind: ClassVar[str] = "enter-cgroups"
    aspect: ClassVar[Aspect] = Aspect.CGROUP

    files: tuple[str, ...]
    """`tasks` or `cgroup.procs` of each."""

    def do(self, hands: Hands) -> Evidence:
        for each in self.files:
            _write(each, "0")
        return {}

    def check(self, evidence: Evidence) -> Finding:
        if process_directory(evidence) is None:
            return GONE
        pid = int(str(evidence["pid"]))
        left = [
            directory
            for directory in map(os.path.dirname, self.files)
            if pid not in cgroups.processes(directory)
        ]
        if left:
            return Finding(Verdict.CHANGED, f"no longer in {', '.join(left)}")
        return Finding(Verdict.STILL_TRUE, f"in all {len(self.files)}")

    def describe(self) -> str:
        return f"enter {len(self.files)} cgroup{'' if len(self.files) == 1 else 's'}"

    def shell(self) -> str:
        return " && ".join(f"echo $$ > {shlex.quote(each)}" for each in self.files)

    def calls(self, evidence: Evidence) -> tuple[Call, ...]:
        return tuple(_opened_for_writing(each) for each in self.files)


def device_rule_text(kind: str, major: int | None, minor: int | None, access: str) -> str:
    """A rule in the words of devices.allow: `c 1:3 rwm`, `a *:* rwm`."""
    numbers = ":".join("*" if each is None else str(each) for each in (major, minor))
    return f"{kind} {numbers} {access}"


def _opened_cgroup(path: str) -> int:
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)


def _filter_rule(verb: str, rule: str) -> DeviceFilterRule:
    kind, numbers, access = rule.split(" ")
    major, minor = (None if each == "*" else int(each) for each in numbers.split(":"))
    return DeviceFilterRule(verb == "allow", kind, major, minor, access)


def _opened_for_writing(path: str) -> Call:
    return Call("openat", (f'"{path}"', "O_WRONLY"))


def _write(path: str, value: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, value.encode("ascii"))
    finally:
        os.close(descriptor)


def _read(path: str) -> str:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(descriptor, 4096).decode("ascii").strip()
    finally:
        os.close(descriptor)


def _make_parents(path: str, *, clone: bool) -> int:
    """Make the directories above; others may be making them too. How many were made."""
    above = 0
    if not os.path.isdir(os.path.dirname(path)):
        above = _make_parents(os.path.dirname(path), clone=clone)
    if not _made(path):
        return above
    if clone:
        for file in ("cpuset.cpus", "cpuset.mems"):
            _inherit(path, file)
    return above + 1


def _made(path: str) -> bool:
    """Make a directory if it is missing; whether it was."""
    try:
        os.mkdir(path, 0o755)
    except FileExistsError:
        return False
    return True


def _inherit(path: str, file: str) -> int:
    """Fill an empty file of a cpuset from the one above; how many files were written."""
    here = f"{path}/{file}"
    if _read(here):
        return 0
    _write(here, _read(f"{os.path.dirname(path)}/{file}"))
    return 1


def _remove_tree(path: str) -> None:
    """rmdir(2) from the leaves up: a container may have made cgroups below its own."""
    try:
        os.rmdir(path)
    except OSError as error:
        below = cgroups.children(path) if error.errno == errno.EBUSY else ()
        if not below:
            raise
        for each in below:
            _remove_tree(each)
        os.rmdir(path)
