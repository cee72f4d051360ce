"""Networks of a fake engine, where everything is reachable."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, replace

from support.fake_engine.state import BRIDGE, BRIDGE_ID, FakeState
from wherry.model.containers import (
    Container,
)
from wherry.model.errors.networks import NetworkNotFound
from wherry.model.ids import (
    NetworkId,
)
from wherry.model.networks import (
    EndpointWish,
    Network,
    NetworkRequest,
)
from wherry.model.queries import (
    Filters,
)
from wherry.model.reaching import Hop, Reach, ReachQuestion, ReachVerdict


@dataclass
class FakeNetworks:
    """The default bridge alone."""

    engine: FakeState

    async def list(self, filters: Filters) -> Sequence[Network]:
        return (BRIDGE,)

    async def get(self, reference: str) -> Network:
        if reference not in ("bridge", BRIDGE_ID):
            raise NetworkNotFound(reference)
        return BRIDGE

    async def containers_on(self, network: Network) -> Sequence[Container]:
        return list(self.engine.containers.values())

    async def create(self, request: NetworkRequest) -> Network:
        self.engine.note("create_network", request)
        return replace(BRIDGE, id=NetworkId("d" * 64), name=request.name, is_builtin=False)

    async def remove(self, reference: str) -> None:
        self.engine.note("remove_network", reference)

    async def connect(self, reference: str, container: str, wish: EndpointWish) -> None:
        self.engine.note("connect", reference, container, wish)

    async def disconnect(self, reference: str, container: str, *, is_forced: bool) -> None:
        self.engine.note("disconnect", reference, container, is_forced)


@dataclass
class FakeSights:
    """Everything is reachable, and nothing passes."""

    engine: FakeState

    async def reach(self, question: ReachQuestion) -> Reach:
        target = self.engine.find(question.target)
        return Reach(
            question=question,
            source=question.source,
            target=target.name,
            address="172.17.0.2",
            verdict=ReachVerdict.REACHES,
            hops=(Hop(place="network", sentence="both are on bridge"),),
        )

    async def reach_all(self, *, is_static: bool) -> Sequence[Reach]:
        del is_static
        return ()

    async def capture(
        self, reference: str, *, count: int, expression: str
    ) -> AsyncGenerator[bytes, None]:
        self.engine.find(reference)

        async def nothing() -> AsyncGenerator[bytes, None]:
            return
            yield b""

        return nothing()
