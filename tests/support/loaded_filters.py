"""The system call filter that the kernel really has for a process, and what a profile asks for."""

import ctypes
import json
import os
import re
from pathlib import Path
from typing import Any

_PTRACE_SEIZE, _PTRACE_INTERRUPT, _PTRACE_DETACH = 0x4206, 0x4207, 17
_PTRACE_SECCOMP_GET_FILTER = 0x420C
_WALL = 0x40000000
_HEADERS = ("/usr/include/x86_64-linux-gnu/asm/unistd_64.h", "/usr/include/asm/unistd_64.h")
_HEADER_OF_A_PROGRAM = bytes(8)
"""`filters.verdict` takes programs as `compile_filter` makes them, with a header before."""


def loaded_filters(pid: int) -> list[bytes]:
    """The BPF programs of a process, the newest first (ptrace(2)). Raises: OSError."""
    library = ctypes.CDLL(None, use_errno=True)
    library.ptrace.restype = ctypes.c_long
    library.ptrace.argtypes = (ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p)

    def ptrace(request: int, address: int = 0, data: Any = None) -> int:
        result = int(library.ptrace(request, pid, address, data))
        if result < 0:
            raise OSError(ctypes.get_errno(), f"ptrace {request:#x}")
        return result

    ptrace(_PTRACE_SEIZE)
    try:
        ptrace(_PTRACE_INTERRUPT)
        os.waitpid(pid, _WALL)
        programs: list[bytes] = []
        while True:
            try:
                length = ptrace(_PTRACE_SECCOMP_GET_FILTER, len(programs))
            except OSError:
                return programs  # EINVAL: no filter at all; ENOENT: no more of them
            buffer = ctypes.create_string_buffer(length * 8)
            ptrace(_PTRACE_SECCOMP_GET_FILTER, len(programs), buffer)
            programs.append(_HEADER_OF_A_PROGRAM + buffer.raw)
    finally:
        ptrace(_PTRACE_DETACH)


def names_by_number() -> dict[int, str]:
    """The calls of x86-64 as the C library's headers number them."""
    header = next(path for path in map(Path, _HEADERS) if path.exists())
    found = re.findall(r"^#define __NR_(\w+)\s+(\d+)$", header.read_text(), re.MULTILINE)
    return {int(number): name for name, number in found}


class ProfileTable:
    """Verdicts computed from the JSON of a profile, by nobody's code but this."""

    def __init__(self, profile: str, capabilities: set[str], architecture: str = "amd64") -> None:
        document = json.loads(profile)
        self._default = document["defaultAction"], document.get("defaultErrnoRet", 1)
        self._rules = [
            rule
            for rule in document.get("syscalls", [])
            if self._applies(rule, capabilities, architecture)
        ]
        self.names = {name for rule in document.get("syscalls", []) for name in rule["names"]}

    @staticmethod
    def _applies(rule: Any, capabilities: set[str], architecture: str) -> bool:
        includes, excludes = rule.get("includes") or {}, rule.get("excludes") or {}
        return (
            capabilities >= set(includes.get("caps", ()))
            and (not includes.get("arches") or architecture in includes["arches"])
            and not capabilities & set(excludes.get("caps", ()))
            and architecture not in excludes.get("arches", ())
        )

    def verdict(self, name: str, *arguments: int) -> str | int:
        """`allow`, or the errno."""
        found: set[str | int] = set()
        for rule in self._rules:
            conditions = rule.get("args") or []
            if name in rule["names"] and all(_holds(each, arguments) for each in conditions):
                is_allowed = rule["action"] == "SCMP_ACT_ALLOW"
                found.add("allow" if is_allowed else rule.get("errnoRet", 1))
        if found:
            # A call that one rule allows is allowed, as in the kernel the order of two rules for
            # one call is libseccomp's, and no profile here has an errno beside an allow.
            return "allow" if "allow" in found else found.pop()
        action, errno = self._default
        return "allow" if action == "SCMP_ACT_ALLOW" else int(errno)

    def conditions(self) -> dict[str, list[tuple[int, int]]]:
        """For each call with conditions: the argument's index, and the value compared with."""
        found: dict[str, list[tuple[int, int]]] = {}
        for rule in self._rules:
            for each in rule.get("args") or []:
                for name in rule["names"]:
                    found.setdefault(name, []).append((each["index"], each["value"]))
        return found


def _holds(condition: Any, arguments: tuple[int, ...]) -> bool:
    value = arguments[condition["index"]]
    # The kernel takes these arguments as int: the upper half of the register is nobody's.
    value, wanted = value & 0xFFFFFFFF, condition["value"]
    match condition["op"]:
        case "SCMP_CMP_LT":
            return value < wanted
        case "SCMP_CMP_EQ":
            return bool(value == wanted)
        case "SCMP_CMP_NE":
            return bool(value != wanted)
        case "SCMP_CMP_GT":
            return value > wanted
        case "SCMP_CMP_MASKED_EQ":
            return (value & wanted) == condition.get("valueTwo", 0)
    raise AssertionError(condition["op"])
