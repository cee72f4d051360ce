"""All tasks of an engine: made, found again, and the jobs in namespaces."""

import asyncio
import os
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress

from wherry.kit import messages
from wherry.kit.aio import OffloadPool
from wherry.kit.clock import Clock
from wherry.linux.id_maps import IdMap
from wherry.linux.sockets import connect_at
from wherry.model.errors import StepFailed
from wherry.model.errors.containers import ReceiverUnreachable, StartFailed
from wherry.model.ids import ContainerId
from wherry.model.tasks import ExitRecord
from wherry.oci import runtime_json
from wherry.oci.runtime_spec import RootfsMount
from wherry.operations import journal as journals
from wherry.shim.protocol import (
    CONFIG_NAME,
    EXIT_NAME,
    JOURNAL_NAME,
    LOG_ORDER,
    SOCKET_NAME,
    SPAWN_ORDER,
    VIEW_MOUNT,
    LogOrder,
    Refused,
    ViewMount,
)
from wherry.tasks import orphans
from wherry.tasks.channel import Answer, ChannelLost
from wherry.tasks.feeder import LogFeeder
from wherry.tasks.refusals import to_model_error
from wherry.tasks.requests import SpawnRequest
from wherry.tasks.spawner import SpawnerProcess
from wherry.tasks.task import Task

_SHIM_KILLED = "the container's shim was killed"


class Tasks:
    """Makes tasks through the spawner, and finds those of an earlier daemon."""

    def __init__(
        self,
        *,
        exec_root: str,
        offload: OffloadPool,
        clock: Clock,
        spawner: SpawnerProcess | None = None,
    ) -> None:
        """`spawner` is for tests; without it, it is the real one."""
        self._exec_root = exec_root
        self._offload = offload
        self._clock = clock
        self._empty_directory = f"{exec_root}/empty"
        self._spawner = spawner or SpawnerProcess(
            empty_directory=self._empty_directory, offload=offload
        )

    @property
    def spawner_pid(self) -> int:
        """The process id of the spawner; 0 when none runs."""
        return self._spawner.pid

    async def open(self) -> None:
        """Start the spawner. Raises: StartFailed; OSError."""
        os.makedirs(self._empty_directory, mode=0o700, exist_ok=True)
        await self._spawner.channel()

    async def close(self) -> None:
        """End the spawner. The containers go on."""
        await self._spawner.close()

    # -- tasks -------------------------------------------------------------------------------

    async def spawn(self, request: SpawnRequest) -> Task:
        """Make a container up to the point where only its program is missing.

        Raises: CommandNotFound, CommandNotExecutable, UserNotFound, StartFailed.
        """
        _write_config(request)
        _forget_earlier_start(request.record_directory)
        task = self._new_task(request.container_id, request.bundle, request.record_directory)
        try:
            answer = await self._bear(task, request)
        except Refused as refused:
            task.let_go()
            raise to_model_error(refused) from refused
        except ChannelLost as lost:
            await self._offload(
                orphans.clear_away, request.bundle, request.record_directory, request.container_id
            )
            raise StartFailed("the container's shim died") from lost
        except BaseException:
            # A shim whose only daemon has gone discards a container that was not started.
            task.let_go()
            raise
        task.pid, task.shim_pid = answer.results["pid"], answer.results["shim_pid"]
        return task

    async def _bear(self, task: Task, request: SpawnRequest) -> Answer:
        """Have a shim forked, and hear from it. Raises: Refused; ChannelLost; StartFailed."""
        order = SPAWN_ORDER.to_json(request.to_order())
        is_last_attempt = False
        while True:
            ours, theirs = messages.channel_pair()
            birth = task.connect(ours).expect_birth()
            with theirs:
                spawner = await self._spawner.tell("spawn", theirs.fileno(), **order)
            try:
                return await birth
            except ChannelLost:
                # One turn of the loop later it is known whether the spawner died with our order
                # unread. Then it is not the container's fault, and another one may do it.
                await asyncio.sleep(0)
                if spawner.is_open or is_last_attempt:
                    raise
                is_last_attempt = True

    async def reattach(
        self, container_id: ContainerId, bundle: str, record_directory: str
    ) -> Task | ExitRecord | None:
        """Find a container of an earlier daemon.

        The task, when its shim lives; its end, when that was written down or when the shim was
        killed (what is left of the container is killed too); None, when none was ever started.
        """
        connection = await self._offload(_connect, bundle)
        if connection is not None:
            task = self._new_task(container_id, bundle, record_directory)
            channel = task.connect(connection)
            try:
                answer = await channel.ask("state")
            except (Refused, ChannelLost):
                task.let_go()
            else:
                task.take_state(answer.results)
                task.arm()
                return task
        if not await self._offload(orphans.is_known, bundle, record_directory, container_id):
            return None
        return await self._offload(
            orphans.end_orphan, bundle, record_directory, container_id, 0, _SHIM_KILLED
        )

    async def feed_log(
        self,
        order: LogOrder,
        *,
        on_dropped: Callable[[int, str], None],
        on_lost: Callable[[], None],
    ) -> LogFeeder:
        """Have a container's log fed to its receiver.

        `on_lost` is called when the process that does it has ended.
        Raises: ReceiverUnreachable; StartFailed.
        """
        ours, theirs = messages.channel_pair()
        feeder = LogFeeder(ours, on_dropped=on_dropped, on_lost=on_lost)
        birth = feeder.channel.expect_birth()
        try:
            with theirs:
                await self._spawner.tell("log", theirs.fileno(), **LOG_ORDER.to_json(order))
            await birth
        except Refused as refused:
            feeder.let_go()
            raise ReceiverUnreachable(refused.message) from refused
        except ChannelLost as lost:
            raise StartFailed("the container's logger died") from lost
        except BaseException:
            feeder.let_go()
            raise
        return feeder

    # -- jobs in namespaces ------------------------------------------------------------------

    async def make_network_namespace(
        self, path: str, id_maps: tuple[IdMap, IdMap] = ((), ())
    ) -> tuple[int, list[journals.Line]]:
        """Make a network namespace that stays at a path; its directory exists.

        With id maps, of users and of groups, a new user namespace owns it.

        Returns a netlink socket inside it, which the caller closes, and the journal entries.
        Raises: StartFailed.
        """
        answer = await self._spawner.ask(
            "network_namespace", path=path, users=id_maps[0], groups=id_maps[1]
        )
        return answer.descriptors[0], answer.results["entries"]

    async def open_netlink(self, path: str) -> int:
        """A netlink socket inside the namespace of a path, which the caller closes.

        Raises: StartFailed.
        """
        answer = await self._spawner.ask("netlink", path=path)
        return answer.descriptors[0]

    async def open_socket(self, path: str, *, family: int, kind: int, protocol: int = 0) -> int:
        """A socket inside the namespace of a path, which the caller closes.

        Raises: StartFailed.
        """
        answer = await self._spawner.ask(
            "socket", path=path, family=family, type=kind, protocol=protocol
        )
        return answer.descriptors[0]

    async def open_resolver_sockets(
        self, path: str
    ) -> tuple[tuple[int, ...], list[journals.Line]]:
        """A UDP socket and a listening TCP socket, where 127.0.0.11:53 of a namespace leads.

        The caller closes them. Raises: StartFailed.
        """
        answer = await self._spawner.ask("resolver_sockets", path=path)
        return tuple(answer.descriptors), answer.results["entries"]

    async def set_sysctl(
        self, path: str, name: str, value: str, *, why: str
    ) -> list[journals.Line]:
        """Set a `net/...` sysctl inside the namespace of a path; the journal of it.

        Raises: StartFailed.
        """
        answer = await self._spawner.ask("sysctl", path=path, name=name, value=value, why=why)
        entries: list[journals.Line] = answer.results["entries"]
        return entries

    async def open_view(
        self,
        root: RootfsMount | int,
        mounts: Sequence[ViewMount] = (),
        *,
        writes: bool = False,
    ) -> int:
        """A descriptor of a container's files, which the caller closes.

        `root` is how to mount it, or the first process of a container that runs. Names below
        the descriptor are resolved with `linux.files.open_in_root`, as the container would.

        Raises: StepFailed.
        """
        try:
            answer = await self._spawner.ask(
                "view",
                target=self._empty_directory,
                pid=root if isinstance(root, int) else 0,
                rootfs=None if isinstance(root, int) else runtime_json.ROOTFS.to_json(root),
                mounts=[VIEW_MOUNT.to_json(each) for each in mounts],
                writes=writes,
            )
        except StartFailed as failed:
            raise StepFailed("look into the container", failed.cause) from failed
        return answer.descriptors[0]

    # -- small steps -------------------------------------------------------------------------

    def _new_task(self, container_id: ContainerId, bundle: str, record_directory: str) -> Task:
        async def on_shim_lost(task: Task) -> ExitRecord:
            return await self._offload(
                orphans.end_orphan, bundle, record_directory, container_id, task.pid, _SHIM_KILLED
            )

        return Task(container_id, on_shim_lost=on_shim_lost)


def _write_config(request: SpawnRequest) -> None:
    content = runtime_json.encode(request.spec)
    with open(f"{request.bundle}/{CONFIG_NAME}", "wb") as file:
        file.write(content)


def _forget_earlier_start(record_directory: str) -> None:
    """Its end must not be taken for that of this one, nor what was done for it."""
    for name in (EXIT_NAME, JOURNAL_NAME):
        with suppress(FileNotFoundError):
            os.unlink(f"{record_directory}/{name}")


def _connect(bundle: str) -> socket.socket | None:
    """A connection to the shim of a bundle; None when there is none."""
    try:
        directory = os.open(bundle, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return None
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        connect_at(connection, directory, SOCKET_NAME)
    except OSError:
        connection.close()
        return None
    finally:
        os.close(directory)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, messages.LARGEST_MESSAGE)
    return connection
