"""Import, touch and rehearse, before any fork, what a forked child will use.

After its root has changed a child must not import a module: Python would search for it in the
image's files.

Reading a configuration, planning and reporting are rehearsed because Python specialises the code
that it runs often (PEP 659). Done once in the spawner, each container starts about a tenth
quicker, and its shim has fewer memory pages of its own.
"""

import json
import os

import wherry.operations.catalogue
import wherry.runtime.joining  # noqa: F401  (imported to be there)
from wherry.kit import messages
from wherry.oci import runtime_json
from wherry.oci.runtime_spec import (
    Capabilities,
    DeviceRule,
    Linux,
    Memory,
    Mount,
    Namespace,
    Process,
    Resources,
    RootfsMount,
    RuntimeSpec,
)
from wherry.operations.journal import to_json
from wherry.operations.plan import Hands, Journal, execute
from wherry.operations.processes.process import SetDumpable
from wherry.runtime import accounts, handshake
from wherry.runtime.accounts import Identity
from wherry.runtime.child import ChildWork
from wherry.runtime.codecs import warm_codecs
from wherry.runtime.container import CreateRequest, subject_of
from wherry.runtime.machine import this_machine
from wherry.runtime.plan import child_plan, parent_plan

_REHEARSALS = 20

_SPEC = RuntimeSpec(
    hostname="rehearsal",
    process=Process(
        args=("true",),
        env=("PATH=/bin",),
        capabilities=Capabilities(bounding=("CAP_KILL",), permitted=("CAP_KILL",)),
    ),
    mounts=(
        Mount(destination="/proc", type="proc", options=("nosuid", "noexec")),
        Mount(destination="/dev", type="tmpfs", options=("nosuid", "mode=755")),
        Mount(destination="/sys/fs/cgroup", type="cgroup", options=("ro", "nosuid")),
        Mount(destination="/etc/hosts", source="/etc/hosts", options=("rbind", "rprivate")),
    ),
    linux=Linux(
        namespaces=tuple(
            Namespace(type=each) for each in ("mount", "pid", "time", "uts", "ipc", "network")
        ),
        cgroups_path="/rehearsal",
        resources=Resources(
            memory=Memory(limit=1 << 20),
            pids_limit=1,
            devices=(DeviceRule(allow=False), DeviceRule(allow=True, type="c", major=1)),
        ),
        masked_paths=("/proc/kcore",),
        readonly_paths=("/proc/sys",),
    ),
)
_DOCUMENT = runtime_json.encode(_SPEC)


def preload() -> None:
    """Have everything in memory, and the machine's facts read. Raises: OSError."""
    warm_codecs()
    root = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for _ in range(_REHEARSALS):
            _rehearse(root)
    finally:
        os.close(root)


def _rehearse(root: int) -> None:
    """Plan, look up, and report as for a container, changing nothing."""
    runtime_json.decode(_DOCUMENT)
    machine = this_machine()
    request = CreateRequest(
        container_id="rehearsal",
        bundle="/rehearsal",
        spec=_SPEC,
        rootfs=RootfsMount(
            type="overlay", directory="/", lower=("lower",), upper="upper", work="work"
        ),
        stdio=(0, 1, 2),
    )
    subject = subject_of(request)
    parent_plan(subject, machine)
    work = ChildWork(
        plan=child_plan(subject, machine),
        process=_SPEC.process,
        user="",
        group_add=(),
        seccomp_program=b"",
        has_init=False,
        machine=machine,
    )
    accounts.home_of(root, 0)
    identity = Identity(uid=0, gid=0, groups=(0,), home="/")
    operations = work.operations(identity)
    work.execve(identity, "/bin/true")
    journal: Journal = []
    execute([SetDumpable(is_dumpable=True, why="it is so already")] * 8, Hands(), journal)
    json.dumps(to_json(journal))
    near, far = messages.channel_pair()
    with near, far:
        handshake.send_report(
            near, journal, identity=identity, program="/bin/true", failure=None, console=None
        )
        handshake.receive_report(far, lambda _channel, _at, _descriptors: None)
        handshake.read_account(far.recv(messages.LARGEST_MESSAGE), operations, 1)
