"""`wherry/pause:latest`: what runs in the sandbox of a pod, which is next to nothing.

Its process sleeps for as long as the pod is there; what else is in it are the tools by which the
pod's containers are probed.
"""

from collections.abc import Iterator

from wherry.images.bootstrap.busybox import program_time_ns, static_busybox
from wherry.images.bootstrap.recipe import BaseImage, TreeWriter
from wherry.model.outcomes import Progress
from wherry.oci.image_spec import ExecutionDefaults
from wherry.snapshots import Writable

_TOOLS = ("sleep", "nc", "wget")


def recipe() -> BaseImage:
    """How to make wherry/pause:latest."""
    return BaseImage(
        name="wherry/pause:latest",
        created_by="the host's static busybox, to sleep and to ask",
        config=ExecutionDefaults(env=("PATH=/tools",), cmd=("/tools/sleep", "infinity")),
        write_layer=_write_layer,
        created_at_ns=lambda _now: program_time_ns(),
    )


def _write_layer(_workspace: str, out: Writable) -> Iterator[Progress]:
    program = static_busybox()
    yield Progress(stream=f"{program} as {', '.join(_TOOLS)}\n")
    tree = TreeWriter(out, mtime_ns=program_time_ns())
    for path in ("dev", "etc", "proc", "sys", "tools"):
        tree.directory(path)
    first, *others = (f"tools/{name}" for name in _TOOLS)
    with open(program, "rb") as file:
        tree.file(first, file.read(), 0o755)
    for each in others:
        tree.hard_link(each, first)
    tree.end()
