"""`hello:latest`: the smallest image that shows that everything works, and says how."""

from collections.abc import Iterator

from wherry.images.bootstrap.busybox import program_time_ns, static_busybox
from wherry.images.bootstrap.recipe import SEARCH_PATH, BaseImage, TreeWriter
from wherry.model.outcomes import Progress
from wherry.oci.image_spec import ExecutionDefaults
from wherry.snapshots import Writable

MESSAGE = b"""\

Hello! This text comes from inside a container, so all of this has worked:

 1. Your client asked the engine for a container of the image "hello".
 2. The engine put an empty, writable layer on top of the image's only one.
 3. It forked a process into namespaces and control groups of its own, gave it
    that stack of layers as its root, and took away what it doesn't need.
 4. The process became /bin/cat, which printed this file, and ended.

The engine remembers each step it took. To read them, with the reason for every
one and a command that would do the same by hand:

    wherry run --explain hello

To look around inside of something larger:

    wherry image bootstrap busybox
    wherry run -it busybox

"""


def recipe() -> BaseImage:
    """How to make hello:latest."""
    return BaseImage(
        name="hello:latest",
        created_by="a message, and the host's static busybox to print it",
        config=ExecutionDefaults(env=(SEARCH_PATH,), cmd=("/bin/cat", "/message")),
        write_layer=_write_layer,
        created_at_ns=lambda _now: program_time_ns(),
    )


def _write_layer(_workspace: str, out: Writable) -> Iterator[Progress]:
    program = static_busybox()
    yield Progress(stream=f"{program} as /bin/cat\n")
    tree = TreeWriter(out, mtime_ns=program_time_ns())
    for path in ("bin", "dev", "proc", "sys"):
        tree.directory(path)
    with open(program, "rb") as file:
        tree.file("bin/cat", file.read(), 0o755)
    tree.file("message", MESSAGE)
    tree.end()
