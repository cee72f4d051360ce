"""From facts to the answer: the hops of a packet in their order, up to the first that fails.

Each step of a way looks at the facts and gives a hop, or nothing where it has nothing to say. A
hop that fails ends the way; what it says is the cause, and its fixes are the smallest change that
lets a packet past it. The last step is the packet itself: where one was sent, what became of it
overrules whatever was read.
"""

from collections.abc import Callable, Sequence
from ipaddress import ip_address

from wherry.kit.values import dataclass
from wherry.model.networks import PublishedPort
from wherry.model.reaching import (
    Hop,
    Isolation,
    ListenerSeen,
    Origin,
    Party,
    ProbeOutcome,
    Reach,
    ReachFacts,
    ReachVerdict,
    Standing,
)

NEW_NETWORK = "app"


@dataclass(frozen=True, slots=True)
class Finding:
    """A hop, and what would mend it."""

    hop: Hop
    fixes: tuple[str, ...] = ()


Step = Callable[[ReachFacts], Finding | None]


def judge(facts: ReachFacts) -> Reach:
    """The answer."""
    question = facts.question
    findings: list[Finding] = []
    for step in _WAYS[question.origin]:
        finding = step(facts)
        if finding is not None:
            findings.append(finding)
            if finding.hop.standing is Standing.FAILS:
                break
    return Reach(
        question=question,
        source=facts.source.name if facts.source else "another machine",
        target=facts.target.name,
        address=facts.address,
        verdict=_verdict(facts, findings),
        hops=tuple(each.hop for each in findings),
        fixes=findings[-1].fixes or _fix_of_name(facts) if findings else (),
    )


def _verdict(facts: ReachFacts, findings: Sequence[Finding]) -> ReachVerdict:
    standings = [each.hop.standing for each in findings]
    if Standing.FAILS in standings:
        return ReachVerdict.BLOCKED
    if Standing.UNKNOWN in standings:
        return ReachVerdict.UNKNOWN
    return ReachVerdict.BY_ADDRESS_ONLY if _lacks_name(facts) else ReachVerdict.REACHES


# -- the ends --------------------------------------------------------------------------------


def _source_runs(facts: ReachFacts) -> Finding | None:
    return None if facts.source is None else _runs(facts.source)


def _target_runs(facts: ReachFacts) -> Finding | None:
    target = facts.target
    if target.is_paused:
        hop = _fails(target.name, "is paused: its program answers nobody")
        return Finding(hop, (f"wherry unpause {target.name}",))
    return _runs(target)


def _runs(party: Party) -> Finding:
    if party.is_alive:
        return Finding(Hop(place=party.name, sentence=f"is {party.state}"))
    hop = _fails(party.name, f"does not run: it is {party.state}")
    return Finding(hop, (f"wherry start {party.name}",))


# -- a network that both are on --------------------------------------------------------------


def _meet(facts: ReachFacts) -> Finding:
    source, target = facts.source, facts.target
    assert source is not None
    if facts.address and facts.shared_network:
        sentence = f"both are on {facts.shared_network}, where {target.name} is {facts.address}"
        return Finding(Hop(place="network", sentence=sentence))
    if facts.crosses:
        sentence = f"{target.name} is {facts.address} on {facts.crosses}: other networks get in"
        return Finding(Hop(place="network", sentence=sentence))
    if facts.address:
        sentence = _without_network(source, target, facts.address)
        return Finding(Hop(place="network", sentence=sentence))
    if target.isolation is Isolation.NOTHING or source.isolation is Isolation.NOTHING:
        alone = target if target.isolation is Isolation.NOTHING else source
        return Finding(
            _fails("network", f"{alone.name} has no network (--network none)"),
            (f"wherry network disconnect none {alone.name}", *_connecting(facts, alone)),
        )
    return Finding(_fails("network", _apart(facts)), _connecting(facts, source))


def _without_network(source: Party, target: Party, address: str) -> str:
    if source.namespace_path == target.namespace_path:
        return f"both share one network namespace: {target.name} is {address}"
    if target.isolation is Isolation.HOST:
        return f"{target.name} is on the host's own network, which is {address} from here"
    return f"the host has an address on the network of {target.name}, which is {address}"


def _apart(facts: ReachFacts) -> str:
    source, target = facts.source, facts.target
    assert source is not None
    ours, theirs = _networks(source), _networks(target)
    sentence = (
        f"{source.name} is on {ours}, {target.name} is on {theirs}: packets from one network to"
        " another are dropped"
    )
    outside = [x for x in facts.published if x.host_port and not _is_loopback(x)]
    if outside:
        sentence += f" (its port is published on the host, as {_shown(outside[0])})"
    return sentence


def _connecting(facts: ReachFacts, newcomer: Party) -> tuple[str, ...]:
    """The one command that brings both together, or the few where there is no network yet."""
    source, target = facts.source, facts.target
    assert source is not None
    if newcomer is source and facts.user_networks_of_target:
        return (f"wherry network connect {facts.user_networks_of_target[0]} {source.name}",)
    if facts.user_networks_of_source:
        return (f"wherry network connect {facts.user_networks_of_source[0]} {target.name}",)
    if facts.user_networks_of_target:
        return (f"wherry network connect {facts.user_networks_of_target[0]} {source.name}",)
    return (f"wherry network create {NEW_NETWORK}", *_both_to(facts))


def _both_to(facts: ReachFacts) -> tuple[str, ...]:
    assert facts.source is not None
    return tuple(
        f"wherry network connect {NEW_NETWORK} {each.name}"
        for each in (facts.source, facts.target)
        if each.isolation is not Isolation.HOST
    )


def _may_talk(facts: ReachFacts) -> Finding | None:
    isolated = len(facts.links) > 1 and all(each.is_isolated for each in facts.links)
    if facts.may_meet and not isolated:
        return None
    why = "com.docker.network.bridge.enable_icc=false" if not facts.may_meet else "bridge link"
    sentence = f"containers of {facts.shared_network} may not talk to each other ({why})"
    return Finding(
        _fails("network", sentence),
        (f"wherry network create {NEW_NETWORK}", *_both_to(facts)),
    )


# -- the name --------------------------------------------------------------------------------


def _name(facts: ReachFacts) -> Finding | None:
    seen = facts.name
    if seen is None or not facts.address:
        return None
    if not seen.known_by:
        sentence = f"{seen.name} means nothing there"
        if facts.shared_network == "bridge":
            sentence += ": containers of the default bridge have no names"
        return Finding(Hop(place="name", sentence=f"{sentence}; the address does"))
    if facts.address not in seen.addresses:
        sentence = f"{seen.known_by} gives {', '.join(seen.addresses)} for {seen.name}"
        return Finding(_fails("name", f"{sentence}: that is not {facts.target.name}"))
    among = f" (one of {len(seen.addresses)})" if len(seen.addresses) > 1 else ""
    sentence = f"{seen.known_by} gives {facts.address} for {seen.name}{among}"
    return Finding(Hop(place="name", sentence=sentence))


def _lacks_name(facts: ReachFacts) -> bool:
    return facts.name is not None and not facts.name.known_by


def _fix_of_name(facts: ReachFacts) -> tuple[str, ...]:
    if not _lacks_name(facts) or facts.source is None:
        return ()
    return (f"wherry network create {NEW_NETWORK}", *_both_to(facts))


# -- between ---------------------------------------------------------------------------------


def _route(facts: ReachFacts) -> Finding | None:
    if facts.way is None:
        return None
    assert facts.source is not None
    if facts.way.problem:
        sentence = f"{facts.source.name} has no route to {facts.address}: {facts.way.problem}"
        return Finding(_fails("route", sentence), (_again(facts.source),))
    through = f" by way of {facts.way.gateway}" if facts.way.gateway else ""
    return Finding(Hop(place="route", sentence=f"over {facts.way.interface}{through}"))


def _cables(facts: ReachFacts) -> Finding | None:
    if not facts.links:
        return None
    for each in facts.links:
        if each.problem:
            return Finding(_fails("bridge", each.problem), (_again(facts.target),))
    names = " and ".join(each.name for each in facts.links)
    return Finding(Hop(place="bridge", sentence=f"{names} on {facts.links[0].bridge}"))


def _target_address(facts: ReachFacts) -> Finding | None:
    if facts.has_address:
        return None
    sentence = f"has lost its address {facts.address}: somebody took it away inside"
    return Finding(_fails(facts.target.name, sentence), (_again(facts.target),))


def _again(party: Party) -> str:
    return f"wherry restart {party.name}"


# -- from other machines ---------------------------------------------------------------------


def _published(facts: ReachFacts) -> Finding:
    question, name = facts.question, facts.target.name
    port = f"{question.port}/{question.protocol}"
    if facts.target.isolation is Isolation.HOST:
        return Finding(Hop(place="host", sentence=f"{name} is on the host's own network"))
    if facts.is_open_network:
        sentence = f"{facts.address} is open to other machines (gateway mode nat-unprotected)"
        return Finding(Hop(place="network", sentence=sentence))
    suffix = "" if question.protocol == "tcp" else f"/{question.protocol}"
    adding = f"--publish-add {question.port}:{question.port}{suffix}"
    if not facts.published:
        hop = _fails("host", f"{port} of {name} is not published")
        return Finding(hop, (f"wherry update {adding} {name}",))
    if any(not each.host_port for each in facts.published):
        sentence = f"{port} is published at {facts.address} itself (gateway mode routed)"
        return Finding(Hop(place="network", sentence=sentence))
    outside = [each for each in facts.published if not _is_loopback(each)]
    if not outside:
        only = facts.published[0]
        sentence = f"{port} is published as {_shown(only)}, for this host alone"
        removing = f"--publish-rm {_shown(only)}:{question.port}{suffix}"
        adding = f"--publish-add {only.host_port}:{question.port}{suffix}"
        return Finding(_fails("host", sentence), (f"wherry update {removing} {adding} {name}",))
    shown = ", ".join(map(_shown, outside))
    return Finding(Hop(place="host", sentence=f"{port} is published as {shown}"))


def _leads(facts: ReachFacts) -> Finding | None:
    if not facts.published:
        return None
    if not facts.is_published_in_kernel:
        sentence = f"no entry of the packet filter leads to {facts.target.name} any more"
        return Finding(_fails("packet filter", sentence), (_again(facts.target),))
    return Finding(Hop(place="packet filter", sentence=f"leads it to {facts.address}"))


def _barriers(facts: ReachFacts) -> Finding | None:
    if not facts.barriers or facts.target.isolation is Isolation.HOST:
        return None
    sentence = f"{', '.join(facts.barriers)} drops what its own rules do not allow"
    hop = Hop(place="packet filter", sentence=sentence, standing=Standing.UNKNOWN)
    return Finding(hop)


# -- the socket ------------------------------------------------------------------------------


def _listens(facts: ReachFacts) -> Finding:
    question, name = facts.question, facts.target.name
    there = [each for each in facts.listeners if each.port == question.port]
    if not there:
        others = sorted({each.port for each in facts.listeners if not _is_own_dns(each)})
        told = f"; it has {', '.join(map(str, others))}" if others else ""
        sentence = f"nothing listens on {question.port}/{question.protocol}{told}"
        return Finding(_fails(name, sentence), _start_listening(facts))
    fitting = [each for each in there if _takes(each.address, facts.address)]
    if not fitting:
        where = ", ".join(sorted({each.address for each in there}))
        sentence = f"{_program(there[0])} listens on {where} only, not on {facts.address}"
        return Finding(
            _fails(name, sentence),
            (f"let the program in {name} listen on 0.0.0.0 (or ::) instead of {where}",),
        )
    sentence = f"{_program(fitting[0])} listens on {fitting[0].address}:{question.port}"
    return Finding(Hop(place=name, sentence=sentence))


def _start_listening(facts: ReachFacts) -> tuple[str, ...]:
    name, port = facts.target.name, facts.question.port
    return (f"start the program in {name} that is to listen on {port}: wherry logs {name}",)


def _program(listener: ListenerSeen) -> str:
    return listener.program or "a program"


def _is_own_dns(listener: ListenerSeen) -> bool:
    return listener.address == "127.0.0.11"


def _takes(bound: str, wanted: str) -> bool:
    """Whether a socket that is bound to an address takes what is sent to another."""
    here, there = ip_address(bound), ip_address(wanted)
    mapped = getattr(here, "ipv4_mapped", None)
    if mapped is not None:
        here = mapped
    if here.is_unspecified:
        return here.version == 6 or there.version == 4
    return here == there


# -- the packet ------------------------------------------------------------------------------


def _packet(facts: ReachFacts) -> Finding | None:
    if facts.question.is_static:
        return Finding(_unknown("no packet was sent, since only looking was asked for"))
    if facts.probe is None:
        return Finding(_unknown("no packet can be sent from there"))
    outcome = facts.probe.outcome
    if outcome is ProbeOutcome.CONNECTED:
        return Finding(Hop(place="packet", sentence="a connection was made, and closed at once"))
    is_lost = bool(facts.probe.dropped_by)
    if outcome is ProbeOutcome.SILENT and facts.question.protocol == "udp" and not is_lost:
        return Finding(Hop(place="packet", sentence="a datagram was sent; nobody refused it"))
    if is_lost:
        return Finding(
            _fails("packet filter", f"{facts.probe.dropped_by} drops it"), _way_past(facts)
        )
    name = facts.target.name
    assert facts.source is not None
    sentence = {
        ProbeOutcome.REFUSED: f"{name} refuses it: its program or a rule inside",
        ProbeOutcome.SILENT: f"no answer came: a rule inside {name} drops it, or one of the host's"
        " that does not tell (iptables-legacy, eBPF)",
        ProbeOutcome.UNREACHABLE: "it finds no neighbour to go to",
        ProbeOutcome.FORBIDDEN: f"a rule inside {facts.source.name} keeps it in",
    }[outcome]
    return Finding(_fails("packet", sentence))


def _way_past(facts: ReachFacts) -> tuple[str, ...]:
    """Where the owner of a foreign rule lets others put theirs."""
    assert facts.probe is not None
    said = f"allow it there, before that rule: {facts.question.protocol} to {facts.address}"
    return (f"{said} port {facts.question.port}",)


def _host_reaches(facts: ReachFacts) -> Finding | None:
    """The host's own packets are not forwarded: only the cable and the socket matter."""
    own = [each for each in facts.published if each.host_port]
    if not own:
        return None
    return Finding(Hop(place="host", sentence=f"also published, as {_shown(own[0])}"))


_MEETING: tuple[Step, ...] = (_meet, _may_talk, _name, _route, _cables, _target_address)
_WAYS: dict[Origin, tuple[Step, ...]] = {
    Origin.CONTAINER: (_source_runs, _target_runs, *_MEETING, _listens, _packet),
    Origin.HOST: (_target_runs, *_MEETING, _host_reaches, _listens, _packet),
    Origin.LAN: (_target_runs, _published, _leads, _cables, _listens, _barriers),
}


# -- words -----------------------------------------------------------------------------------


def _fails(place: str, sentence: str) -> Hop:
    return Hop(place=place, sentence=sentence, standing=Standing.FAILS)


def _unknown(sentence: str) -> Hop:
    return Hop(place="packet", sentence=sentence, standing=Standing.UNKNOWN)


def _networks(party: Party) -> str:
    return " and ".join(each.network_name for each in party.endpoints) or "no network"


def _shown(published: PublishedPort) -> str:
    address = published.host_address
    return f"{f'[{address}]' if ':' in address else address}:{published.host_port}"


def _is_loopback(published: PublishedPort) -> bool:
    return ip_address(published.host_address).is_loopback
