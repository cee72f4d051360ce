"""When a process runs, on which processors, and what it takes the machine for."""

import os
from typing import ClassVar

from wherry.kit.values import dataclass
from wherry.linux import scheduling as kernel
from wherry.operations.looking import GONE, process_directory
from wherry.operations.plan import Aspect, Call, Evidence, Finding, Hands, Operation, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class SetScheduler(Operation):
    """Choose how the kernel shares processors with the process; times in nanoseconds."""

    kind: ClassVar[str] = "set-scheduler"
    aspect: ClassVar[Aspect] = Aspect.PROCESS

    policy: str
    nice: int = 0
    priority: int = 0
    flags: tuple[str, ...] = ()
    runtime: int = 0
    deadline: int = 0
    period: int = 0

    def do(self, hands: Hands) -> Evidence:
        kernel.sched_setattr(
            kernel.POLICIES[self.policy],
            flags=sum(kernel.POLICY_FLAGS[each] for each in set(self.flags)),
            nice=self.nice,
            priority=self.priority,
            runtime=self.runtime,
            deadline=self.deadline,
            period=self.period,
        )
        return {}

    def check(self, evidence: Evidence) -> Finding:
        if process_directory(evidence) is None:
            return GONE
        seen = os.sched_getscheduler(int(str(evidence["pid"]))) & ~os.SCHED_RESET_ON_FORK
        same = seen == kernel.POLICIES[self.policy]
        return Finding(Verdict.STILL_TRUE if same else Verdict.CHANGED, f"policy {seen}")

    def describe(self) -> str:
        return f"schedule by {self.policy} (nice {self.nice}, priority {self.priority})"

    def shell(self) -> str:
        option = self.policy.removeprefix("SCHED_").lower()
        return f"chrt --{option} --pid {self.priority} $$ && renice -n {self.nice} -p $$"

    def calls(self, evidence: Evidence) -> tuple[Call, ...]:
        return (Call("sched_setattr"),)


@dataclass(frozen=True, slots=True, kw_only=True)
class SetIoPriority(Operation):
    """Choose when the process's turn at a disk comes."""

    kind: ClassVar[str] = "set-io-priority"
    aspect: ClassVar[Aspect] = Aspect.PROCESS

    io_class: str
    priority: int

    def do(self, hands: Hands) -> Evidence:
        kernel.ioprio_set(kernel.IO_CLASSES[self.io_class], self.priority)
        return {}

    def describe(self) -> str:
        return f"take {self.io_class}, priority {self.priority}, at disks"

    def shell(self) -> str:
        return f"ionice -c {kernel.IO_CLASSES[self.io_class]} -n {self.priority} -p $$"

    def calls(self, evidence: Evidence) -> tuple[Call, ...]:
        return (Call("ioprio_set"),)


@dataclass(frozen=True, slots=True, kw_only=True)
class SetPersonality(Operation):
    """Have the kernel present itself as of an execution domain."""

    kind: ClassVar[str] = "set-personality"
    aspect: ClassVar[Aspect] = Aspect.PROCESS

    domain: str

    def do(self, hands: Hands) -> Evidence:
        kernel.personality(kernel.DOMAINS[self.domain])
        return {}

    def check(self, evidence: Evidence) -> Finding:
        directory = process_directory(evidence)
        if directory is None:
            return GONE
        with open(f"{directory}/personality", encoding="ascii") as file:
            seen = int(file.read(), 16)
        same = seen & 0xFF == kernel.DOMAINS[self.domain]
        return Finding(Verdict.STILL_TRUE if same else Verdict.CHANGED, f"{seen:#x}")

    def describe(self) -> str:
        return f"take on the personality {self.domain}"

    def shell(self) -> str:
        return "setarch linux32 ..." if self.domain == "LINUX32" else "setarch linux64 ..."

    def calls(self, evidence: Evidence) -> tuple[Call, ...]:
        return (Call("personality"),)


@dataclass(frozen=True, slots=True, kw_only=True)
class PinToProcessors(Operation):
    """Run on these processors only."""

    kind: ClassVar[str] = "pin-to-processors"
    aspect: ClassVar[Aspect] = Aspect.PROCESS

    processors: tuple[int, ...]

    def do(self, hands: Hands) -> Evidence:
        os.sched_setaffinity(0, self.processors)
        return {}

    def describe(self) -> str:
        return f"run on processors {', '.join(map(str, self.processors))}"

    def shell(self) -> str:
        return f"taskset -cp {','.join(map(str, self.processors))} $$"

    def calls(self, evidence: Evidence) -> tuple[Call, ...]:
        return (Call("sched_setaffinity"),)
