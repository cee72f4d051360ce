"""The door as a whole: one for an engine, made when somebody comes to it first."""

from collections.abc import AsyncIterator, Sequence

from wherry.api.buildkit.calls import Metadata, answered
from wherry.api.buildkit.control import Control
from wherry.api.buildkit.gateway import Gateway
from wherry.api.buildkit.history import History
from wherry.api.buildkit.jobs import Jobs
from wherry.api.buildkit.links import serve_methods
from wherry.api.buildkit.session_builds import messages
from wherry.api.buildkit.sessions import Session, Sessions
from wherry.api.buildkit.told_steps import told_steps
from wherry.api.call import SessionOffer
from wherry.api.raw_connections import RawConnection
from wherry.api.services import Services
from wherry.kit.aio import closed_after
from wherry.kit.clock import Clock
from wherry.model.builds import BuildRequest
from wherry.model.errors.builds import BuildNotFound
from wherry.model.outcomes import Progress
from wherry.wire.buildkit.sessions import (
    HealthCheckRequest,
    HealthCheckResponse,
    TracesRequest,
    TracesResponse,
)
from wherry.wire.builds import BuildStep

_HEALTH = "/grpc.health.v1.Health/Check"
_TRACES = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
_SERVING = 1


class Door:
    """Both kinds of connections, and what they share."""

    def __init__(self, services: Services, clock: Clock) -> None:
        self._sessions = Sessions()
        self._jobs = jobs = Jobs(services.builds, clock)
        self._history = History(services.build_history, clock)
        control = Control(
            jobs=jobs,
            sessions=self._sessions,
            history=self._history,
            builds=services.builds,
            system=services.system,
            networks=services.networks,
        )
        gateway = Gateway(jobs=jobs, control=control, builds=services.builds)
        self._methods = {
            **control.methods(),
            **gateway.methods(),
            _HEALTH: answered(_health, HealthCheckRequest, HealthCheckResponse),
            _TRACES: answered(_drop, TracesRequest, TracesResponse),
        }

    async def serve(self, client: RawConnection) -> None:
        """A connection on which the client calls us."""
        await serve_methods(client, self._methods)

    async def joined(self, session_id: str) -> None:
        """Returns when a session is there. Raises: InvalidValue when it does not come."""
        await self._sessions.get(session_id)

    async def build(
        self, ref: str, session_id: str, request: BuildRequest, *, tells_result: bool
    ) -> AsyncIterator[Progress]:
        """A build that was asked for elsewhere, of a client that has a session here."""
        session = await self._sessions.get(session_id)
        told = messages(
            self._jobs, self._history, session, ref, request, tells_result=tells_result
        )
        async with closed_after(told):
            async for message in told:
                yield message

    async def steps(self, ref: str) -> Sequence[BuildStep]:
        """What is known of the steps of a build. Raises: BuildNotFound."""
        if self._jobs.has(ref):
            return told_steps((await self._jobs.get(ref)).story.told)
        story = await self._history.story(ref)
        if story is None:
            raise BuildNotFound(ref=ref)
        return told_steps([each async for each in story])

    async def join(self, client: RawConnection, offer: SessionOffer) -> None:
        """A connection on which we call the client."""
        await self._sessions.carry(Session(offer), client)


async def _health(_request: HealthCheckRequest, _: Metadata) -> HealthCheckResponse:
    return HealthCheckResponse(status=_SERVING)


async def _drop(_request: TracesRequest, _: Metadata) -> TracesResponse:
    return TracesResponse()
