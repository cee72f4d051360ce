"""Gathering facts: from the records, from the kernel, and from a packet that is sent."""

from collections.abc import Sequence

from wherry.engine.containers.joined import joined_container
from wherry.engine.containers.live import LiveContainers
from wherry.engine.paths import ContainerPaths
from wherry.engine.reaching.judging import judge
from wherry.engine.records import ContainerRecords
from wherry.kit.aio import OffloadPool
from wherry.kit.values import replace
from wherry.model.containers import Container
from wherry.model.errors import InvalidValue
from wherry.model.errors.containers import ContainerNotFound
from wherry.model.lifecycle import ContainerState
from wherry.model.networks import EndpointStatus, NetworkModeKind, PublishedPort
from wherry.model.reaching import (
    Isolation,
    LinkSeen,
    NameSeen,
    Origin,
    Party,
    Reach,
    ReachFacts,
    ReachQuestion,
)
from wherry.networks import Networks
from wherry.operations.network.name_server import NAME_SERVER

LOOPBACK = "127.0.0.1"
_PROTOCOLS = ("tcp", "udp")
_HOST = Party(name="this host", state="running", is_alive=True, isolation=Isolation.HOST)


class Reachability:
    """Answers whether a packet arrives."""

    def __init__(
        self,
        *,
        records: ContainerRecords,
        live: LiveContainers,
        networks: Networks,
        paths: ContainerPaths,
        offload: OffloadPool,
    ) -> None:
        self._records, self._live, self._networks = records, live, networks
        self._paths, self._offload = paths, offload
        self._sight = networks.sight

    async def __call__(self, question: ReachQuestion) -> Reach:
        """The answer. Raises: ContainerNotFound, InvalidValue."""
        return judge(await self._look(question))

    async def all(self, *, is_static: bool) -> Sequence[Reach]:
        """The answers for every two that run, and for other machines, by each TCP port that is
        listened on."""
        living = sorted(
            (each for each in self._records.all() if each.is_alive), key=lambda each: each.name
        )
        questions = [
            ReachQuestion(
                source=source.name if source is not None else "",
                origin=Origin.CONTAINER if source is not None else Origin.LAN,
                target=target.name,
                port=port,
                is_static=is_static,
            )
            for target in living
            for port in await self._ports(self._party(target))
            for source in (*living, None)
            if source is not target
        ]
        return [await self(each) for each in questions]

    async def _ports(self, party: Party) -> Sequence[int]:
        listeners = await self._sight.listeners(party.pid, "tcp")
        return sorted({each.port for each in listeners if each.address != NAME_SERVER})

    async def _look(self, question: ReachQuestion) -> ReachFacts:
        _check(question)
        source = self._source(question)
        container = self._target(question.target, source)
        target = self._party(container)
        facts = ReachFacts(
            question=question,
            source=source,
            target=target,
            published=_published(target, question),
            user_networks_of_source=self._user_networks(source) if source else (),
            user_networks_of_target=self._user_networks(target),
        )
        if not target.is_alive or (source is not None and not source.is_alive):
            return facts
        facts = await self._meeting(facts)
        facts = await self._socket(facts)
        if source is None:
            return await self._from_elsewhere(facts)
        if not facts.address:
            return facts
        facts = await self._named(facts, container)
        return await self._between(facts)

    # -- the ends ----------------------------------------------------------------------------

    def _source(self, question: ReachQuestion) -> Party | None:
        match question.origin:
            case Origin.LAN:
                return None
            case Origin.HOST:
                return _HOST
            case Origin.CONTAINER:
                return self._party(self._records.find(question.source))

    def _target(self, reference: str, source: Party | None) -> Container:
        """A container by what it is called: by everybody, or by those on the source's networks."""
        try:
            return self._records.find(reference)
        except ContainerNotFound:
            near = {each.network_id for each in source.endpoints} if source else set()
            for container in self._records.all():
                if container.is_alive and any(
                    reference in each.names and each.network_id in near
                    for each in container.endpoints
                ):
                    return container
            raise

    def _party(self, container: Container) -> Party:
        sandbox = self._live.sandbox(container.id)
        lender = self._lender(container)
        kind = lender.spec.network.mode.kind
        isolation = Isolation.OWN
        if lender.spec.network.is_disabled or kind is NetworkModeKind.NONE:
            isolation = Isolation.NOTHING
        elif kind is NetworkModeKind.HOST:
            isolation = Isolation.HOST
        if any(each.is_connected for each in lender.endpoints):
            isolation = Isolation.OWN
        return Party(
            name=container.name,
            state=container.status.state.value,
            is_alive=container.is_alive,
            is_paused=container.status.state is ContainerState.PAUSED,
            isolation=isolation,
            namespace_path=sandbox.namespace_path if sandbox is not None else "",
            pid=container.status.pid or 0,
            endpoints=lender.endpoints,
        )

    def _lender(self, container: Container) -> Container:
        """Whose network it has: another's, in `container:ID` mode."""
        mode = container.spec.network.mode
        if mode.kind is not NetworkModeKind.CONTAINER:
            return container
        return joined_container(mode.reference, self._records) or container

    def _user_networks(self, party: Party) -> tuple[str, ...]:
        names = {each.network_name for each in party.endpoints}
        return tuple(
            each.name
            for each in self._networks.list()
            if each.name in names and not each.is_builtin and self._sight.may_meet(each)
        )

    # -- the way -----------------------------------------------------------------------------

    async def _meeting(self, facts: ReachFacts) -> ReachFacts:
        source, target = facts.source, facts.target
        if source is not None and source.namespace_path == target.namespace_path:
            return replace(facts, address=LOOPBACK)
        if source is None or source.isolation is Isolation.HOST:
            endpoint = next((x for x in target.endpoints if x.is_way_out), None)
            endpoint = endpoint or next((x for x in target.endpoints if x.is_connected), None)
            return replace(facts, address=_address(endpoint)) if endpoint else facts
        if target.isolation is Isolation.HOST:
            gateways = (each.gateway for each in source.endpoints if each.is_way_out)
            return replace(facts, address=next(gateways, ""))
        pairs = [
            (ours, theirs)
            for ours in source.endpoints
            for theirs in target.endpoints
            if ours.network_id == theirs.network_id and ours.is_connected and theirs.is_connected
        ]
        if not pairs:
            return await self._across(facts)
        permitted = [each for each in pairs if self._may_meet(each[0])]
        ours, theirs = (permitted or pairs)[0]
        return replace(
            facts,
            address=_address(theirs),
            shared_network=theirs.network_name,
            may_meet=bool(permitted),
            links=await self._links((ours, theirs)),
        )

    async def _across(self, facts: ReachFacts) -> ReachFacts:
        """A network of the target's that lets in what comes from others, if there is one."""
        for each in facts.target.endpoints:
            network = self._networks.get(each.network_id)
            why = self._sight.why_crossed(network, is_published=bool(facts.published))
            if each.is_connected and why:
                return replace(
                    facts,
                    address=_address(each),
                    crosses=f"{network.name} ({why})",
                    links=await self._links((each,)),
                )
        return facts

    def _may_meet(self, endpoint: EndpointStatus) -> bool:
        return self._sight.may_meet(self._networks.get(endpoint.network_id))

    async def _links(self, endpoints: Sequence[EndpointStatus]) -> tuple[LinkSeen, ...]:
        seen = [await self._sight.link(each) for each in endpoints]
        return tuple(each for each in seen if each is not None)

    async def _named(self, facts: ReachFacts, container: Container) -> ReachFacts:
        """What the source makes of the target's name: its hosts file first, as libc does."""
        source = facts.source
        if source is None or facts.question.origin is Origin.HOST or not facts.shared_network:
            return facts
        name = facts.question.target
        if container.id.startswith(name):
            name = container.name
        hosts = await self._offload(self._hosts_of, facts.question.source, name)
        if hosts:
            seen = NameSeen(name=name, known_by="its hosts file", addresses=hosts)
        elif any(each.names for each in source.endpoints):
            seen = await self._sight.name(source.namespace_path, name)
        else:
            seen = NameSeen(name=name)
        return replace(facts, name=seen)

    def _hosts_of(self, reference: str, name: str) -> tuple[str, ...]:
        container = self._lender(self._records.find(reference))
        path = f"{self._paths.record_directory(container.id)}/hosts"
        try:
            with open(path, encoding="utf-8", errors="replace") as file:
                lines = [line.split() for line in file]
        except OSError:
            return ()
        return tuple(words[0] for words in lines if name in words[1:])

    async def _between(self, facts: ReachFacts) -> ReachFacts:
        source, target = facts.source, facts.target
        assert source is not None
        own = facts.address == LOOPBACK or target.isolation is Isolation.HOST
        facts = replace(
            facts,
            way=await self._sight.way(source.namespace_path, facts.address),
            has_address=own or await self._sight.has_address(target.namespace_path, facts.address),
        )
        if facts.question.is_static:
            return facts
        probe = await self._sight.probe(
            source.namespace_path, facts.address, facts.question.port, facts.question.protocol
        )
        return replace(facts, probe=probe)

    async def _from_elsewhere(self, facts: ReachFacts) -> ReachFacts:
        endpoints = facts.target.endpoints
        way_out = next((each for each in endpoints if each.is_way_out), None)
        if way_out is None:
            return facts
        network = self._networks.get(way_out.network_id)
        return replace(
            facts,
            links=await self._links((way_out,)),
            is_published_in_kernel=await self._sight.publishes(way_out),
            is_open_network=self._sight.is_open(network),
            barriers=await self._sight.barriers(),
        )

    async def _socket(self, facts: ReachFacts) -> ReachFacts:
        protocol = facts.question.protocol
        return replace(facts, listeners=await self._sight.listeners(facts.target.pid, protocol))


def _check(question: ReachQuestion) -> None:
    if not 0 < question.port < 65536:
        raise InvalidValue(f"invalid port {question.port}: must be between 1 and 65535")
    if question.protocol not in _PROTOCOLS:
        raise InvalidValue(f"invalid protocol {question.protocol!r}: must be tcp or udp")


def _address(endpoint: EndpointStatus) -> str:
    return endpoint.address or endpoint.ipv6_address


def _published(target: Party, question: ReachQuestion) -> tuple[PublishedPort, ...]:
    return tuple(
        each
        for endpoint in target.endpoints
        for each in endpoint.published
        if each.port.number == question.port and each.port.protocol == question.protocol
    )
