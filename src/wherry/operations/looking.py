"""What `check` asks the kernel: mounts, namespaces and status of a living process.

Evidence of operations done in a container's process has its `pid` as the host sees it; when
that process is gone, so is everything that was done in it.
"""

import os

from wherry.linux import mountinfo
from wherry.operations.plan import Evidence, Finding, Verdict

GONE = Finding(Verdict.GONE, "the process has ended")
PASSING = Finding(Verdict.UNKNOWN, "a process did it that was only passing")

CONTAINER_PID = "container_pid"
"""Added to evidence by whoever looks: a process to see the container's namespaces through."""


def process_directory(evidence: Evidence) -> str | None:
    """`/proc/PID` of the process that did it, or None when that has ended."""
    directory = f"/proc/{evidence.get('pid')}"
    return directory if os.path.isdir(directory) else None


def mount_finding(
    evidence: Evidence, *, kind: str = "", attributes: tuple[str, ...] = ()
) -> Finding:
    """Whether a mount is still there, topmost on its point, with these flags."""
    if process_directory(evidence) is None:
        return GONE
    point = str(evidence["mount_point"])
    seen = mountinfo.topmost(mountinfo.read(str(evidence["pid"])), point)
    if seen is None:
        return Finding(Verdict.GONE, f"nothing is mounted on {point}")
    shown = f"{seen.kind} on {point} ({','.join(seen.options)})"
    as_made = (not kind or seen.kind == kind) and set(attributes) <= set(seen.options)
    return Finding(Verdict.STILL_TRUE if as_made else Verdict.CHANGED, shown)


def namespace_finding(evidence: Evidence, names: tuple[str, ...]) -> Finding:
    """Whether the process is still in the namespaces that evidence has the inodes of."""
    if "pid" not in evidence:
        return PASSING
    directory = process_directory(evidence)
    if directory is None:
        return GONE
    seen = {name: namespace_inode(directory, name) for name in names}
    as_made = all(evidence.get(f"{name}_ns") in (None, inode) for name, inode in seen.items())
    shown = " ".join(f"{name}:[{inode}]" for name, inode in seen.items())
    return Finding(Verdict.STILL_TRUE if as_made else Verdict.CHANGED, shown)


def namespace_evidence(process: str, names: tuple[str, ...]) -> Evidence:
    """The inodes of a process's namespaces, as `namespace_finding` wants them. Raises: OSError."""
    return {f"{name}_ns": namespace_inode(process, name) for name in names}


def namespace_inode(process: str, name: str) -> int:
    """The inode of a namespace of `/proc/PID`; `name` is a file of its `ns`. Raises: OSError."""
    return int(os.readlink(f"{process}/ns/{name}").split("[")[1].rstrip("]"))


def status_finding(evidence: Evidence, field: str, expected: str) -> Finding:
    """Compare one line of /proc/PID/status."""
    directory = process_directory(evidence)
    if directory is None:
        return GONE
    with open(f"{directory}/status", encoding="utf-8", errors="replace") as file:
        for line in file:
            name, _, value = line.partition(":")
            if name == field:
                shown = " ".join(value.split())
                same = Verdict.STILL_TRUE if shown == expected else Verdict.CHANGED
                return Finding(same, f"{field}: {shown}")
    return Finding(Verdict.UNKNOWN, f"no {field} in {directory}/status")


def file_finding(path: str, expected: str) -> Finding:
    """Compare the content of a kernel file."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            seen = file.read().strip()
    except OSError as error:
        return Finding(Verdict.GONE, f"{path}: {error.strerror}")
    verdict = Verdict.STILL_TRUE if seen == expected else Verdict.CHANGED
    return Finding(verdict, f"{path} = {seen}")
