"""User namespaces: made with their id maps, and a process born in one.

Theory of operation. What belongs to the host must be done by a process that still has the
host's rights; a process that has entered a user namespace has them no longer. And the pid
namespace of a container must be made by a process that is in its user namespace already, or
nobody in the container could mount its /proc. So a process in between is needed:

        caller                      in between                        the container's
        ------                      ----------                        ---------------
        fork -------------------->  joins network namespaces, makes
                                    the file systems that show them,
                                    raises limits, sets parameters
                                    enters the user namespace
                                    clone3(CLONE_PARENT|NEWPID) ---->  goes on with its plan,
        reads the pid  <----------  ends                               a child of the caller

A user namespace itself is made by a process that does nothing else: it waits until its maps
have been written, and goes when the namespace has been opened (user_namespaces(7)). The same
makes the namespaces whose maps idmapped mounts show owners through (mount_setattr(2)).
"""

import errno
import os
import shlex
from collections.abc import Callable
from typing import ClassVar

from wherry.kit.values import dataclass
from wherry.linux import process as kernel
from wherry.linux import rlimits
from wherry.linux.id_maps import IdMap, lines
from wherry.linux.mounts import closing
from wherry.operations.looking import GONE, namespace_inode, process_directory
from wherry.operations.plan import (
    Argument,
    Aspect,
    Call,
    Evidence,
    Finding,
    Hands,
    Operation,
    OperationFailed,
    Plan,
    Verdict,
    execute,
)
from wherry.operations.processes.namespaces import FLAGS, come_back

USER = "user-namespace"
"""The container's own, in Hands."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MakeUserNamespace(Operation):
    """Make a user namespace with these id maps; it is left in Hands."""

    kind: ClassVar[str] = "make-user-namespace"
    aspect: ClassVar[Aspect] = Aspect.NAMESPACE

    name: str
    """In Hands."""
    uid_map: IdMap
    gid_map: IdMap

    def do(self, hands: Hands) -> Evidence:
        def mapped(pid: int) -> None:
            _write(f"/proc/{pid}/uid_map", lines(self.uid_map))
            _write(f"/proc/{pid}/gid_map", lines(self.gid_map))

        namespace = _made_elsewhere(
            lambda: kernel.unshare(kernel.CLONE_NEWUSER), "user", completed=mapped
        )
        hands.hold(self.name, namespace)
        return {"user_ns": os.fstat(namespace).st_ino}

    def check(self, evidence: Evidence) -> Finding:
        directory = process_directory(evidence)
        if directory is None or self.name != USER:
            return Finding(Verdict.UNKNOWN, "held by what uses it")
        inode = namespace_inode(directory, "user")
        same = inode == evidence.get("user_ns")
        return Finding(Verdict.STILL_TRUE if same else Verdict.CHANGED, f"user:[{inode}]")

    def describe(self) -> str:
        shown = ", ".join(f"{inside}-{inside + size - 1} as {outside}-{outside + size - 1}"
                          for inside, outside, size in self.uid_map)  # fmt: skip
        return f"make a user namespace: users {shown}"

    def shell(self) -> str:
        users = " ".join(f"--map-users={o},{i},{n}" for i, o, n in self.uid_map)
        groups = " ".join(f"--map-groups={o},{i},{n}" for i, o, n in self.gid_map)
        return f"unshare --user {users} {groups} -- ..."

    def calls(self, evidence: Evidence) -> tuple[Call, ...]:
        return (
            Call("unshare", ("CLONE_NEWUSER",)),
            Call("openat", ("uid_map", "O_WRONLY")),
            Call("openat", ("gid_map", "O_WRONLY")),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class EnterOwnedNetwork(Operation):
    """Enter a new network namespace that the user namespace in Hands owns.

    Only capabilities in the owner count in a network namespace (user_namespaces(7)): root of
    the container would have no raw socket and no interface to set up in one of the host's.
    The caller itself stays in its user namespace, from which there is no way back.
    """

    kind: ClassVar[str] = "enter-owned-network"
    aspect: ClassVar[Aspect] = Aspect.NAMESPACE

    def do(self, hands: Hands) -> Evidence:
        owner = hands.get(USER)

        def made() -> None:
            kernel.setns(owner, kernel.CLONE_NEWUSER)
            kernel.unshare(kernel.CLONE_NEWNET)

        with closing(_made_elsewhere(made, "net")) as namespace:
            kernel.setns(namespace, kernel.CLONE_NEWNET)
            return {"net_ns": os.fstat(namespace).st_ino}

    def describe(self) -> str:
        return "make a network namespace that the user namespace owns"

    def shell(self) -> str:
        return "unshare --net -- ..."

    def calls(self, evidence: Evidence) -> tuple[Call, ...]:
        return (
            Call("setns", ("CLONE_NEWUSER",)),
            Call("unshare", ("CLONE_NEWNET",)),
            Call("setns", ("CLONE_NEWNET",)),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenUserNamespace(Operation):
    """Hold a user namespace that exists, for the process that will be born in it."""

    kind: ClassVar[str] = "open-user-namespace"
    aspect: ClassVar[Aspect] = Aspect.NAMESPACE

    path: str
    """Of the user namespace, or of one that it owns, which keeps it."""

    def do(self, hands: Hands) -> Evidence:
        opened = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        if kernel.namespace_kind(opened) != kernel.CLONE_NEWUSER:
            with closing(opened):
                opened = kernel.owner_of_namespace(opened)
        hands.hold(USER, opened)
        return {"user_ns": os.fstat(opened).st_ino}

    def describe(self) -> str:
        return f"join the user namespace {self.path}"

    def shell(self) -> str:
        return f"nsenter --user={shlex.quote(self.path)} -- ..."


@dataclass(frozen=True, slots=True, kw_only=True)
class RaiseHardLimit(Operation):
    """Have room for a resource limit that only the host's root may give."""

    kind: ClassVar[str] = "raise-hard-limit"
    aspect: ClassVar[Aspect] = Aspect.PROCESS

    name: str
    hard: int

    def do(self, hands: Hands) -> Evidence:
        soft, hard = rlimits.prlimit_of(0, self.name)
        wanted = -1 if self.hard == rlimits.UNLIMITED else self.hard
        if hard == -1 or (wanted != -1 and wanted <= hard):
            return {"raised": False}
        rlimits.prlimit(0, self.name, soft, wanted)
        return {"raised": True}

    def describe(self) -> str:
        return f"allow {self.name.removeprefix('RLIMIT_').lower()} up to {self.hard}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ForkInUserNamespace(Operation):
    """Make the container's process 1 in a user namespace: the call returns in both processes.

    The last operation of a plan, as `Fork` is.
    """

    kind: ClassVar[str] = "fork-in-user-namespace"
    aspect: ClassVar[Aspect] = Aspect.PROCESS

    cgroup: str = ""
    """As in `Fork`."""
    namespaces: tuple[str, ...] = ()
    """Made at the fork, so that they belong to the user namespace: `pid`."""
    first: Plan = ()
    """What is done before the host's rights are given up; in journals as `first_steps`."""
    first_steps: tuple[str, ...] = ()

    def do(self, hands: Hands) -> Evidence:
        reader, writer = os.pipe2(os.O_CLOEXEC)
        between = os.fork()
        if between == 0:
            os.close(reader)
            if self._is_born(hands, writer):
                return {"pid": 0}
        os.close(writer)
        with closing(reader):
            answer = os.read(reader, 4096).decode("utf-8", "surrogateescape")
        _reap(between)
        code, _, text = answer.partition(" ")
        if code != "0":
            number = int(code or errno.ECHILD)
            raise OSError(number, text or os.strerror(number))
        pid = int(text)
        hands.hold("pidfd", os.pidfd_open(pid))
        if "pid" in self.namespaces:
            # Later children of the caller belong there too, as after an unshare(2) of its own.
            kernel.setns(hands.get("pidfd"), kernel.CLONE_NEWPID)
        return {"pid": pid, "caller": os.getpid()}

    def _is_born(self, hands: Hands, writer: int) -> bool:
        """In between: False never comes back. True in the container's process."""
        try:
            execute(self.first, hands, [])
            cgroup = None
            if self.cgroup:
                cgroup = os.open(self.cgroup, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            kernel.setns(hands.get(USER), kernel.CLONE_NEWUSER)
            flags = sum(FLAGS[each] for each in self.namespaces)
            pid = kernel.fork_beside(flags, cgroup)
            if pid == 0:
                os.close(writer)
                if cgroup is not None:
                    os.close(cgroup)
                return True
            answer = f"0 {pid}"
        except OperationFailed as error:
            code = error.cause.errno if isinstance(error.cause, OSError) else errno.EINVAL
            answer = f"{code} {error}"
        except OSError as error:
            answer = f"{error.errno} {error}"
        os.write(writer, answer.encode("utf-8", "surrogateescape"))
        os._exit(0)

    def undo(self, hands: Hands, evidence: Evidence) -> None:
        if "pid" in self.namespaces and evidence.get("caller") == os.getpid():
            come_back(("pid",))

    def check(self, evidence: Evidence) -> Finding:
        directory = process_directory(evidence)
        if directory is None:
            return GONE
        user, pid = namespace_inode(directory, "user"), namespace_inode(directory, "pid")
        return Finding(Verdict.STILL_TRUE, f"user:[{user}] pid:[{pid}]")

    def describe(self) -> str:
        place = f" into {self.cgroup}" if self.cgroup else ""
        return f"fork a process in the user namespace{place}"

    def shell(self) -> str:
        return "# (the next lines happen in a new process, in the user namespace)"

    def calls(self, evidence: Evidence) -> tuple[Call, ...]:
        return (Call("setns", ("CLONE_NEWUSER",)), Call("clone3", ("CLONE_PARENT",)))

    def arguments(self) -> dict[str, Argument]:
        return {
            "cgroup": self.cgroup,
            "namespaces": self.namespaces,
            "first_steps": self.first_steps,
        }


def _made_elsewhere(
    make: Callable[[], None], kind: str, completed: Callable[[int], None] | None = None
) -> int:
    """Open a namespace that a process makes which does nothing else. Raises: OSError.

    With its pid the namespace can be completed before it is opened.
    """
    ready, ready_writer = os.pipe2(os.O_CLOEXEC)
    waiting, waiting_writer = os.pipe2(os.O_CLOEXEC)
    pid = os.fork()
    if pid == 0:
        _live_in_a_new_namespace(make, ready_writer, waiting, waiting_writer)
    os.close(ready_writer)
    os.close(waiting)
    try:
        answer = os.read(ready, 16).decode("ascii")
        if answer != "ok":
            code = int(answer or errno.ECHILD)
            raise OSError(code, os.strerror(code))
        if completed is not None:
            completed(pid)
        return os.open(f"/proc/{pid}/ns/{kind}", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        os.close(ready)
        os.close(waiting_writer)
        _reap(pid)


def _live_in_a_new_namespace(
    make: Callable[[], None], ready: int, waiting: int, waiting_writer: int
) -> None:
    """In a child: make a namespace, say so, and keep it until told to go."""
    try:
        os.close(waiting_writer)
        try:
            make()
        except OSError as error:
            os.write(ready, str(error.errno).encode("ascii"))
        else:
            os.write(ready, b"ok")
            os.read(waiting, 1)
    finally:
        os._exit(0)


def _write(path: str, text: str) -> None:
    # One write(2): the kernel takes a map only whole.
    with closing(os.open(path, os.O_WRONLY | os.O_CLOEXEC)) as opened:
        os.write(opened, text.encode("ascii"))


def _reap(pid: int) -> None:
    try:
        os.waitpid(pid, 0)
    except ChildProcessError:
        return
