"""What an engine of dictionaries knows, and the streams that a test reads and writes."""

import asyncio
import itertools
from dataclasses import dataclass, field, replace

from support.fake_clock import FakeClock
from wherry.kit.streams import STDOUT, frame
from wherry.model.containers import (
    Container,
    ExecStatus,
)
from wherry.model.errors import WherryError
from wherry.model.errors.containers import ContainerNotFound
from wherry.model.events import Event
from wherry.model.ids import (
    ChainId,
    DiffId,
    ImageId,
    NetworkId,
)
from wherry.model.images import (
    HistoryEntry,
    Image,
    ImageConfig,
    Layer,
)
from wherry.model.lifecycle import ContainerState
from wherry.model.networks import (
    AddressRange,
    Network,
)
from wherry.model.outcomes import (
    Progress,
)
from wherry.model.queries import (
    LogLine,
)
from wherry.model.tasks import ExitRecord

SECOND = 1_000_000_000
BRIDGE_ID = NetworkId("b" * 64)
IMAGE_ID = ImageId("sha256:" + "1" * 64)

BRIDGE = Network(
    id=BRIDGE_ID,
    name="bridge",
    driver="bridge",
    created_at_ns=1_699_000_000 * SECOND,
    ranges=(AddressRange(subnet="172.17.0.0/16", gateway="172.17.0.1"),),
    options={"com.docker.network.bridge.name": "docker0"},
    is_builtin=True,
)


class FakeStream:
    """Streams of a container: the test writes the output and reads the input."""

    def __init__(self, *, echoes: bool = False) -> None:
        self._output: asyncio.Queue[bytes] = asyncio.Queue()
        self._echoes = echoes
        self.received = bytearray()
        self.is_input_closed = asyncio.Event()
        self.is_closed = asyncio.Event()

    def say(self, data: bytes) -> None:
        """Output, as it goes over the wire; empty ends it."""
        self._output.put_nowait(data)

    async def read(self) -> bytes:
        """The next output."""
        return await self._output.get()

    async def write(self, data: bytes) -> None:
        """Input."""
        self.received += data
        if self._echoes:
            self.say(frame(STDOUT, data))

    async def close_stdin(self) -> None:
        """End of input; an echoing stream ends its output then."""
        self.is_input_closed.set()
        if self._echoes:
            self.say(b"")

    def tell_detached(self) -> None:
        """The user typed the keys."""
        self.is_detached = True

    async def close(self) -> None:
        """Let go."""
        self.is_closed.set()


def make_image(reference: str = "busybox:latest") -> Image:
    """A small image."""
    layer = Layer(
        diff_id=DiffId("sha256:" + "2" * 64),
        chain_id=ChainId("sha256:" + "2" * 64),
        size_bytes=1_234_567,
    )
    return Image(
        id=IMAGE_ID,
        references=(reference,),
        config=ImageConfig(command=("sh",), environment=("PATH=/bin",)),
        layers=(layer,),
        history=(
            HistoryEntry(created_at_ns=1_699_999_000 * SECOND, created_by="ADD file"),
            HistoryEntry(
                created_at_ns=1_699_999_001 * SECOND, created_by='CMD ["sh"]', is_empty_layer=True
            ),
        ),
        created_at_ns=1_699_999_001 * SECOND,
        size_bytes=1_234_567,
        tagged_at_ns=1_699_999_002 * SECOND,
    )


@dataclass
class FakeState:
    """What there is, and what was asked for."""

    clock: FakeClock = field(default_factory=FakeClock)
    containers: dict[str, Container] = field(default_factory=dict)
    execs: dict[str, ExecStatus] = field(default_factory=dict)
    images: dict[str, Image] = field(default_factory=lambda: {"busybox:latest": make_image()})
    streams: dict[str, FakeStream] = field(default_factory=dict)
    log: list[LogLine] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    calls: list[tuple[object, ...]] = field(default_factory=list)
    fails: WherryError | Exception | None = None
    """Raised by the next verb."""
    echoes: bool = False
    endings: dict[str, list[asyncio.Future[ExitRecord]]] = field(default_factory=dict)
    progress: list[Progress] = field(default_factory=list)
    uploaded: bytearray = field(default_factory=bytearray)

    def __post_init__(self) -> None:
        self._numbers = itertools.count(1)

    # -- for the services --------------------------------------------------------------------

    def note(self, *call: object) -> None:
        """Remember a call, and fail if the test wants that."""
        self.calls.append(call)
        if self.fails is not None:
            failure, self.fails = self.fails, None
            raise failure

    def next_id(self) -> str:
        """64 digits, the first ones telling."""
        return f"{next(self._numbers):04x}".ljust(64, "c")

    def find(self, reference: str) -> Container:
        """By id, prefix or name."""
        for each in self.containers.values():
            if reference and (each.id.startswith(reference) or each.name == reference.strip("/")):
                return each
        raise ContainerNotFound(reference)

    def set_state(self, container: Container, **changes: object) -> Container:
        """A container with another status."""
        changed = replace(container, status=replace(container.status, **changes))  # type: ignore[arg-type]
        self.containers[container.id] = changed
        return changed

    def stream_of(self, identifier: str) -> FakeStream:
        """The streams of a container or session."""
        return self.streams.setdefault(identifier, FakeStream(echoes=self.echoes))

    # -- for tests ---------------------------------------------------------------------------

    def end(self, reference: str, exit_code: int = 0, error: str = "") -> None:
        """The container's process ends."""
        container = self.set_state(
            self.find(reference),
            state=ContainerState.EXITED,
            exit_code=exit_code,
            pid=0,
            finished_at_ns=self.clock.now_ns(),
        )
        record = ExitRecord(exit_code=exit_code, exited_at_ns=self.clock.now_ns(), error=error)
        for ending in self.endings.pop(container.id, []):
            if not ending.done():
                ending.set_result(record)
        self.stream_of(container.id).say(b"")
