"""A container's configuration in words that every OCI runtime knows."""

import os
from collections.abc import Iterator

from wherry.kit.values import replace
from wherry.linux.mounts import closing
from wherry.oci import runtime_json
from wherry.oci.runtime_spec import Mount, Process
from wherry.operations.files.mounts import ROOT
from wherry.operations.plan import Hands, Journal, execute
from wherry.runtime import accounts
from wherry.runtime.container import CreateRequest
from wherry.runtime.mount_options import mount_words
from wherry.runtime.mount_plan import INIT_IN_CONTAINER, mount_operations
from wherry.shim.faces import Living
from wherry.shim.protocol import CONFIG_NAME

ROOT_NAME = "rootfs"
"""Where a runtime finds the root, in the bundle."""
_OLDEST_VERSION = "1.0.2"
"""What all of them read; members that they don't know they pass over."""
_MOUNTS_NAME = "mounts"


def write_config(request: CreateRequest, root: int, journal: Journal) -> None:
    """Write the bundle's configuration again, for another runtime: no name, no time namespace,
    which the runtimes of Debian 12 don't know, and no mount that only ours understands.

    Adds what was mounted for it to the journal. Raises: AccountNotFound; OperationFailed; OSError.
    """
    path = f"{request.bundle}/{CONFIG_NAME}"
    with open(path, "rb") as file:
        spec = runtime_json.decode(file.read())
    process = identified(root, spec.process, request.user, request.group_add)
    mounts: tuple[Mount, ...] = ()
    if request.init_binary:
        process = replace(process, args=(INIT_IN_CONTAINER, "--", *process.args))
        mounts = (
            Mount(
                destination=INIT_IN_CONTAINER,
                type="bind",
                source=request.init_binary,
                options=("bind", "ro"),
            ),
        )
    # They know no user namespace by the network that it owns: theirs is another one.
    namespaces = tuple(
        replace(each, path="") if each.type == "user" else each
        for each in spec.linux.namespaces
        if each.type != "time" or each.path
    )
    spec = replace(
        spec,
        oci_version=_OLDEST_VERSION,
        process=process,
        root=replace(spec.root, path=ROOT_NAME),
        mounts=(*_understood(request.bundle, spec.mounts, journal), *mounts),
        linux=replace(spec.linux, namespaces=namespaces),
    )
    with open(path, "wb") as file:
        file.write(runtime_json.encode(spec))


def _understood(bundle: str, mounts: tuple[Mount, ...], journal: Journal) -> Iterator[Mount]:
    """The mounts in words that every runtime knows.

    A part of a volume and the layers of an image are put together here, in the shim's own mount
    namespace, and the runtime binds what is there.

    Raises: OperationFailed.
    """
    for number, mount in enumerate(mounts):
        words = mount_words(mount)
        if not words.subpath and mount.type != "overlay":
            yield mount
            continue
        directory = f"{bundle}/{_MOUNTS_NAME}"
        os.makedirs(directory, mode=0o700, exist_ok=True)
        hands = Hands({ROOT: os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)})
        try:
            place = f"/{number}"
            execute(mount_operations(replace(mount, destination=place)), hands, journal)
        finally:
            hands.close()
        is_read_only = "ro" in words.attributes or "ro" in words.recursive_attributes
        yield Mount(
            destination=mount.destination,
            type="bind",
            source=directory + place,
            options=("rbind", "ro", "rprivate") if is_read_only else ("rbind", "rprivate"),
        )


def identified(
    root: int, process: Process, user: str | None, group_add: tuple[str, ...]
) -> Process:
    """A process with numbers for its user, looked up in a root. Raises: AccountNotFound."""
    if user is None:
        return process
    identity = accounts.resolve(root, user, group_add)
    environment = process.env
    if not any(each.startswith("HOME=") for each in environment):
        environment = (*environment, f"HOME={identity.home}")
    return replace(
        process,
        env=environment,
        user=replace(
            process.user,
            uid=identity.uid,
            gid=identity.gid,
            additional_gids=identity.groups,
        ),
    )


def identified_inside(
    init: Living, process: Process, user: str | None, group_add: tuple[str, ...]
) -> Process:
    flags = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
    with closing(os.open(f"/proc/{init.pid}/root", flags)) as root:
        return identified(root, process, user, group_add)
