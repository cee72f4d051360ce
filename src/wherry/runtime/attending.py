"""What a parent does for its child on the child's way to the program.

The hooks of the runtime's own namespaces are due while the child stands between its mounts and
the change of root, and a filter that asks an agent needs its listener handed on before the
child makes the next call that the agent must answer.
"""

import json
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from wherry.kit.values import dataclass
from wherry.linux.process import CLONE_NEWPID, CLONE_NEWTIME, setns
from wherry.oci.runtime_spec import VERSION, Hook, Hooks, Seccomp
from wherry.operations.plan import Hands, Journal, OperationFailed, execute, explain_error
from wherry.operations.processes.hooks import CREATE_RUNTIME, GO_ON, RunHook
from wherry.operations.processes.identity import LISTENER

_REFUSE = b"\0"


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerFacts:
    """What others are told of a container (runtime.md, "State")."""

    container_id: str
    bundle: str
    annotations: Mapping[str, str]


def state_json(facts: ContainerFacts, status: str) -> str:
    """A container's state as JSON, open at its end: the pid is still to come."""
    return json.dumps(
        {
            "ociVersion": VERSION,
            "id": facts.container_id,
            "status": status,
            "bundle": facts.bundle,
            "annotations": dict(facts.annotations),
        },
        separators=(",", ":"),
    ).removesuffix("}")


def hook_operations(
    moment: str, hooks: tuple[Hook, ...], state: str, pid: int = 0
) -> Iterator[RunHook]:
    """The steps that run hooks of one moment."""
    for each in hooks:
        yield RunHook(
            moment=moment,
            path=each.path,
            args=each.args,
            env=each.env,
            timeout_s=each.timeout_s,
            state=state,
            pid=pid,
            why=f"hooks.{moment}",
        )


class Attendant:
    """A child's requests on its way, answered by its parent."""

    def __init__(
        self, facts: ContainerFacts, hooks: Hooks, seccomp: Seccomp | None, *, status: str
    ) -> None:
        self._facts = facts
        self._hooks = hooks
        self._seccomp = seccomp
        self._status = status
        self.journal: Journal = []
        self.problem = ""
        """Why a child was told to give up."""

    def attend(self, channel: socket.socket, at: str, pid: int, descriptors: list[int]) -> None:
        """Do what is due. Raises: OSError when the child has gone."""
        if at == CREATE_RUNTIME:
            channel.send(GO_ON if self._ran_hooks(pid) else _REFUSE)
        elif at == LISTENER:
            try:
                self._hand_on(pid, descriptors)
            except OSError as error:
                self.problem = f"seccomp listener: {explain_error(error)}"
            finally:
                for each in descriptors:
                    os.close(each)

    def _ran_hooks(self, pid: int) -> bool:
        state = state_json(self._facts, "creating")
        plan = (
            *hook_operations("prestart", self._hooks.prestart, state, pid),
            *hook_operations("createRuntime", self._hooks.create_runtime, state, pid),
        )
        return self._ran(plan)

    def _ran(self, plan: tuple[RunHook, ...]) -> bool:
        try:
            with among_the_hosts_processes():
                execute(plan, Hands(), self.journal)
        except OperationFailed as error:
            self.problem = str(error)
            return False
        return True

    def _hand_on(self, pid: int, descriptors: list[int]) -> None:
        """Send a listener to the agent (config-linux.md, "containerProcessState")."""
        assert self._seccomp is not None
        state = json.loads(f'{state_json(self._facts, self._status)},"pid":{pid}}}')
        told = {
            "ociVersion": VERSION,
            "fds": ["seccompFd"],
            "pid": pid,
            "metadata": self._seccomp.listener_metadata,
            "state": state,
        }
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as agent:
            agent.connect(self._seccomp.listener_path)
            socket.send_fds(agent, [json.dumps(told).encode()], descriptors)


def run_hooks(
    moment: str, hooks: tuple[Hook, ...], state: str, pid: int, *, goes_on: bool = True
) -> list[str]:
    """Run hooks in the host's namespaces, after a failure only when it `goes_on`; the texts of
    failures."""
    problems: list[str] = []
    for operation in hook_operations(moment, hooks, state, pid):
        try:
            with among_the_hosts_processes():
                execute((operation,), Hands(), [])
        except OperationFailed as error:
            problems.append(str(error))
            if not goes_on:
                break
    return problems


@contextmanager
def among_the_hosts_processes() -> Iterator[None]:
    """Have children born in the caller's own pid and time namespaces for a while."""
    names = (("pid", CLONE_NEWPID), ("time", CLONE_NEWTIME))
    kept = []
    try:
        for name, flag in names:
            if not os.path.exists(f"/proc/self/ns/{name}"):
                continue
            own = os.open(f"/proc/self/ns/{name}", os.O_RDONLY | os.O_CLOEXEC)
            try:
                kept.append((os.open(f"/proc/self/ns/{name}_for_children", os.O_RDONLY), flag))
                setns(own, flag)
            finally:
                os.close(own)
        yield
    finally:
        for opened, flag in kept:
            setns(opened, flag)
            os.close(opened)
