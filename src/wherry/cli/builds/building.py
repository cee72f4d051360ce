"""`build`: an image made by a Dockerfile, and what of its making the user wants to see."""

import json
import os
from base64 import b64decode
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from functools import partial

from wherry.cli.builds.agents import Agents
from wherry.cli.builds.attests import read_attests
from wherry.cli.builds.caches import read_caches
from wherry.cli.builds.contexts import (
    STDIN,
    Elsewhere,
    LocalContext,
    Sent,
    context_at,
    is_remote,
    sent_by_stdin,
)
from wherry.cli.builds.outputs import Output, Results, annotation, outputs_query, read_output
from wherry.cli.builds.parts import named_context, read_secret
from wherry.cli.builds.sending import Materials, Query, by_request, by_session
from wherry.cli.builds.story.answers import asked, show_answer
from wherry.cli.builds.story.modes import MODES, is_classic
from wherry.cli.builds.story.plans import plan_lines
from wherry.cli.builds.story.reports import profile_lines, why_lines
from wherry.cli.builds.story.watching import Watching
from wherry.cli.command import ONE, Command
from wherry.cli.failures import CommandFailed
from wherry.cli.flags import (
    BYTES,
    BYTES_OR_UNLIMITED,
    INT,
    LIST,
    STRING,
    SWITCH,
    Flag,
    Parsed,
    repeated,
)
from wherry.cli.images.references import parse_reference
from wherry.cli.options import limits, networking
from wherry.cli.options.environment import LABELS, read_variable_name
from wherry.cli.progress import show_progress
from wherry.cli.proxies import proxy_variables
from wherry.cli.session import Session
from wherry.client.documents import Document, child, mapping, number, parse, text
from wherry.kit.byte_sizes import human_size
from wherry.kit.values import replace

_DESCRIPTOR = "containerimage.descriptor"
_PLAIN = (
    ("cgroup-parent", "cgroupparent"),
    ("cpuset-cpus", "cpusetcpus"),
    ("cpuset-mems", "cpusetmems"),
    ("isolation", "isolation"),
    ("network", "networkmode"),
    ("target", "target"),
)
_NUMBERS = (
    ("cpu-period", "cpuperiod"),
    ("cpu-quota", "cpuquota"),
    ("cpu-shares", "cpushares"),
    ("memory", "memory"),
    ("memory-swap", "memswap"),
    ("shm-size", "shmsize"),
)
_SWITCHES = (
    ("squash", "squash"),
    ("no-cache", "nocache"),
    ("pull", "pull"),
    ("force-rm", "forcerm"),
)


def build(session: Session, parsed: Parsed) -> int:
    """Have an image built; show what the engine does for it."""
    outputs = _outputs(parsed)
    caches = read_caches(parsed.texts("cache-from"), parsed.texts("cache-to"))
    with (
        Agents(parsed.texts("ssh")) as agents,
        Results(outputs, caches.exports) as results,
    ):
        materials = Materials(
            context=_context(parsed),
            contexts=[named_context(each) for each in parsed.texts("build-context")],
            secrets=dict(map(read_secret, parsed.texts("secret"))),
            agents=agents.sockets,
            caches=caches,
            results=results,
        )
        return _built(session, parsed, materials, outputs)


def _built(
    session: Session, parsed: Parsed, materials: Materials, outputs: Sequence[Output]
) -> int:
    wanted = asked(parsed)
    watching = None if _is_classic(parsed) else _watching(session, parsed)
    query = _all_query(session, parsed, materials, outputs, tells_story=watching is not None)
    built = _Built()
    with _sending(session, parsed, materials, query, watching) as messages:
        told = built.watched(messages)
        if watching is None:
            show_progress(told, session.out)
        else:
            _watch(session, parsed, watching, told)
    if wanted.inquiry and watching is not None:
        return show_answer(session, wanted, watching.trace.answer)
    if path := parsed.text("iidfile"):
        _write(path, built.image_id)
    if path := parsed.text("metadata-file"):
        _write(path, json.dumps(built.metadata(), indent=2))
    if watching is not None and parsed.is_on("quiet") and built.image_id:
        session.say(built.image_id)
    return 0


def _context(parsed: Parsed) -> LocalContext | Elsewhere | Sent:
    """Raises: CommandFailed, for what is not there."""
    place, dockerfile = parsed.arguments[0], parsed.text("file")
    if is_remote(place):
        return Elsewhere(dockerfile or "Dockerfile")
    return sent_by_stdin(dockerfile) if place == STDIN else context_at(place, dockerfile)


def _sending(
    session: Session,
    parsed: Parsed,
    materials: Materials,
    query: Query,
    watching: Watching | None,
) -> AbstractContextManager[Iterator[Document]]:
    """The messages of a build, in whichever way it is asked for."""
    client, is_compressed = session.client, parsed.is_on("compress")
    is_sent = isinstance(materials.context, Sent) or is_compressed or watching is None
    if not is_sent and client.builds_by_session:
        return by_session(session, client, materials, query)
    counted: Callable[[Iterator[bytes]], Iterator[bytes]] = iter
    if watching is not None:
        counted = watching.counted
    elif not parsed.is_on("quiet"):
        counted = partial(_told, session)
    return by_request(session, client, materials, query, counted=counted, compresses=is_compressed)


def _told(session: Session, pieces: Iterator[bytes]) -> Iterator[bytes]:
    sent = 0
    for piece in pieces:
        sent += len(piece)
        yield piece
    session.say(f"Sending build context to Docker daemon  {human_size(sent)}")


def _all_query(
    session: Session,
    parsed: Parsed,
    materials: Materials,
    outputs: Sequence[Output],
    *,
    tells_story: bool,
) -> Query:
    """What is asked for, however it travels."""
    query = [*_query(session, parsed), *_own_query(parsed), *materials.caches.query()]
    if attests := read_attests(parsed):
        query.append(("attests", json.dumps(attests)))
    if outputs:
        query.append(("outputs", outputs_query(outputs)))
    if tells_story:
        query.append(("story", "1"))
    if inquiry := asked(parsed).inquiry:
        query.append(("inquiry", inquiry))
    return query


def _is_classic(parsed: Parsed) -> bool:
    """Whether steps are told as the classic builder tells them: as with Docker's own client."""
    wants = any(map(parsed.was_given, ("progress", "why", "plan", "profile", "check", "call")))
    return is_classic() and not wants


def _watching(session: Session, parsed: Parsed) -> Watching:
    mode = parsed.text("progress") or os.environ.get("BUILDKIT_PROGRESS", "") or "auto"
    if parsed.is_on("quiet") or parsed.is_on("plan") or asked(parsed).inquiry:
        mode = "quiet"
    return Watching(mode, session.err, is_debugging=session.is_debugging)


def _watch(
    session: Session, parsed: Parsed, watching: Watching, messages: Iterator[Document]
) -> None:
    """Show a build; then what was asked about it. Raises: CommandFailed."""
    try:
        with watching.shown():
            show_progress(watching.others(messages), session.err)
    except CommandFailed as failure:
        raise CommandFailed(f"ERROR: failed to build: failed to solve: {failure}") from None
    finally:
        for flag, lines in _REPORTS.items():
            if parsed.is_on(flag):
                to = session.out if flag == "plan" else session.err
                to.writelines(f"{line}\n" for line in lines(watching.trace))


_REPORTS = {"plan": plan_lines, "why": why_lines, "profile": profile_lines}


def _write(path: str, content: str) -> None:
    with open(path, "w") as file:
        file.write(content)


def _outputs(parsed: Parsed) -> list[Output]:
    outputs = [read_output(each) for each in parsed.texts("output")]
    if parsed.is_on("push"):
        outputs.append(Output("image", {"push": "true"}))
    if parsed.is_on("load"):
        outputs.append(Output("image"))
    annotations = dict(map(annotation, parsed.texts("annotation")))
    if not annotations:
        return outputs
    return [
        replace(each, attributes={**each.attributes, **annotations})
        for each in outputs or [Output("image")]
    ]


def _own_query(parsed: Parsed) -> list[tuple[str, str]]:
    """What our own engine understands beside Docker's parameters."""
    query = [("remote", parsed.arguments[0])] if is_remote(parsed.arguments[0]) else []
    query += [(name, "1") for name in ("plan", "profile") if parsed.is_on(name)]
    query += [("allow", each) for each in parsed.texts("allow")]
    query += [("nocachefilter", each) for each in parsed.texts("no-cache-filter")]
    return query


class _Built:
    """What a build's messages say beside what they show."""

    def __init__(self) -> None:
        self.image_id = ""
        self._digest = ""
        self._said: dict[str, str] = {}

    def metadata(self) -> Document:
        """What `--metadata-file` tells, under BuildKit's names."""
        found: Document = {**self._said}
        if descriptor := self._said.get(_DESCRIPTOR):
            found[_DESCRIPTOR] = parse(b64decode(descriptor))
        if self.image_id:
            found["containerimage.config.digest"] = self.image_id
        if self._digest:
            found["containerimage.digest"] = self._digest
        return found

    def watched(self, messages: Iterable[Document]) -> Iterator[Document]:
        """Messages to show. Raises: CommandFailed with the code of a command that failed."""
        for message in messages:
            failure = child(message, "errorDetail")
            if failure:
                code = number(failure, "code") or 1
                raise CommandFailed(text(failure, "message"), code=code)
            aux = child(message, "aux")
            if "ID" in aux:
                self.image_id, self._digest = text(aux, "ID"), text(aux, "Digest")
                self._said = mapping(aux, "Metadata")
                continue
            yield message


def _query(session: Session, parsed: Parsed) -> list[tuple[str, str]]:
    query = [("t", name) for name in parsed.texts("tag")]
    if platforms := parsed.texts("platform"):
        query.append(("platform", ",".join(platforms)))
    query += [("securityopt", option) for option in parsed.texts("security-opt")]
    query += [("extrahosts", host) for host in parsed.texts("add-host")]
    query += [(key, parsed.text(flag)) for flag, key in _PLAIN if parsed.text(flag)]
    query += [(key, str(parsed.number(flag))) for flag, key in _NUMBERS if parsed.number(flag)]
    query += [(key, "1") for flag, key in _SWITCHES if parsed.is_on(flag)]
    query.append(("rm", "1" if parsed.is_on("rm", default=True) else "0"))
    if parsed.is_on("quiet"):
        query.append(("q", "1"))
    given = _arguments(parsed.texts("build-arg"))
    if arguments := {**proxy_variables(session, besides=given), **given}:
        query.append(("buildargs", json.dumps(arguments)))
    if parsed.was_given("label"):
        pairs = (label.partition("=") for label in parsed.texts("label"))
        query.append(("labels", json.dumps({key: value for key, _, value in pairs})))
    if parsed.was_given("ulimit"):
        query.append(("ulimits", json.dumps(parsed.objects("ulimit"))))
    return query


def _arguments(given: list[str]) -> dict[str, str | None]:
    """A name alone has the value that it has in our environment, if any."""
    arguments: dict[str, str | None] = {}
    for each in given:
        name, equals, value = each.partition("=")
        arguments[name] = value if equals else os.environ.get(name)
    return arguments


def _read_tag(text: str) -> str:
    parse_reference(text)
    return text


_NO_TRUST = "Skip image verification; there is no other way here"
_VARIABLES = repeated("list", read_variable_name)
_HOSTS = repeated("list", networking.read_extra_host)
BUILD = Command(
    shape="PATH | URL | -",
    summary="Build an image from a Dockerfile",
    arguments=ONE,
    run=build,
    flags=(
        Flag("annotation", LIST, "Annotation of the image ([PLACE:]key=value)"),
        Flag("attest", LIST, "What is said of the image (type=provenance,mode=max)"),
        Flag("allow", LIST, "Grant RUN more (network.host, security.insecure)"),
        Flag(
            "build-context", LIST, "Another context (name=path, docker-image:// or oci-layout://)"
        ),
        Flag("add-host", _HOSTS, "Add a host name (host:ip)"),
        Flag("build-arg", _VARIABLES, "Set a build-time variable"),
        Flag("cache-from", LIST, "Where to find results (name, type=registry,ref=, local,src=)"),
        Flag("cache-to", LIST, "Where to leave results (type=inline, registry,ref=, local,dest=)"),
        Flag("call", STRING, "What is asked of the Dockerfile (build, check, outline, targets)"),
        Flag("check", SWITCH, "Look at the Dockerfile, and build nothing (as --call=check)"),
        Flag("cgroup-parent", STRING, "The cgroup that those of RUN are below"),
        Flag("compress", SWITCH, "Send the context compressed (gzip)"),
        Flag("cpu-period", INT, "Limit the CPU CFS period"),
        Flag("cpu-quota", INT, "Limit the CPU CFS quota"),
        Flag("cpu-shares", INT, "CPU shares (relative weight)", short="c"),
        Flag("cpuset-cpus", STRING, "CPUs that may be used (0-3, 0,1)"),
        Flag("cpuset-mems", STRING, "Memory nodes that may be used (0-3, 0,1)"),
        Flag("disable-content-trust", SWITCH, _NO_TRUST, default="true", is_hidden=True),
        Flag("file", STRING, 'Name of the Dockerfile ("PATH/Dockerfile")', short="f"),
        Flag("force-rm", SWITCH, "Always remove the containers of RUN"),
        Flag("iidfile", STRING, "Write the image's id to a file"),
        Flag("isolation", STRING, "How RUN is kept apart (default)"),
        Flag("label", LABELS, "Set metadata of the image"),
        Flag("memory", BYTES, "Memory limit of RUN", short="m"),
        Flag("memory-swap", BYTES_OR_UNLIMITED, "Limit of memory plus swap; -1 for any swap"),
        Flag("network", STRING, "The network of RUN"),
        Flag("no-cache", SWITCH, "Use no result of an earlier build"),
        Flag("load", SWITCH, "Keep the image in the engine (as --output=type=docker)"),
        Flag("metadata-file", STRING, "Write what is known of the result to a file"),
        Flag("no-cache-filter", LIST, "Stages that use no result of an earlier build"),
        Flag("output", LIST, "What becomes of the result (type=local,dest=path)", short="o"),
        Flag("platform", LIST, "Platforms of the image (linux/amd64,linux/arm64)"),
        Flag("plan", SWITCH, "Say what would be done, and do nothing"),
        Flag("profile", SWITCH, "Say afterwards what each step took, in time and bytes"),
        Flag("progress", STRING, f"How progress is shown ({', '.join(MODES)})", default="auto"),
        Flag("pull", SWITCH, "Always try to pull a newer version of the base"),
        Flag("quiet", SWITCH, "Show the image's id only", short="q"),
        Flag("rm", SWITCH, "Remove the containers of RUN after success", default="true"),
        Flag("provenance", STRING, "Say what it was made of (true, or mode=max)"),
        Flag("sbom", STRING, "Say what it contains; needs a scanner"),
        Flag("push", SWITCH, "Send the image to its registry (as --output=type=registry)"),
        Flag("secret", LIST, "A secret for RUN (id=mysecret,src=/path or env=NAME)"),
        Flag("security-opt", LIST, "Security options of RUN (none are known to builds here)"),
        Flag("shm-size", BYTES, "Size of /dev/shm"),
        Flag("squash", SWITCH, "One layer for all that the build adds to its base"),
        Flag("ssh", LIST, "SSH keys for RUN (default, ID=SOCKET, or ID=KEY,KEY)"),
        Flag("tag", repeated("list", _read_tag), "Name of the image (name:tag)", short="t"),
        Flag("target", STRING, "The stage to build"),
        Flag("ulimit", repeated("ulimit", limits.read_ulimit), "Limits of RUN"),
        Flag("why", SWITCH, "Say of each step why it was not found in the cache"),
    ),
)
