"""`build`: an image made by a Dockerfile, of a directory that is sent to the engine as a tar."""

import json
import os
import sys
from collections.abc import Iterable, Iterator

from wherry.cli.build_outputs import (
    Output,
    Results,
    cache_reference,
    read_cache,
    read_output,
    without_pieces,
)
from wherry.cli.build_parts import Part, PartedBody, agent, named_context, secret_part
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
    absent_flag,
    repeated,
)
from wherry.cli.local_trees import pack
from wherry.cli.options import limits, networking
from wherry.cli.progress import show_progress
from wherry.cli.registry_access import known_logins
from wherry.cli.session import Session
from wherry.client.documents import Document, child, number, text
from wherry.kit.byte_sizes import human_size
from wherry.kit.path_patterns import BadPattern, Ignore, read_ignore

_STDIN = "-"
_PIECE_BYTES = 256 * 1024
_TAR_MAGIC = b"ustar"
_COMPRESSED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd")
_SENT_DOCKERFILE = ".dockerfile.wherry"
"""The name in the tar of a Dockerfile that is not part of the context."""
_PLAIN = (
    ("cgroup-parent", "cgroupparent"),
    ("cpuset-cpus", "cpusetcpus"),
    ("cpuset-mems", "cpusetmems"),
    ("network", "networkmode"),
    ("platform", "platform"),
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
    """Send a context; show what the engine does with it."""
    outputs = _outputs(parsed)
    dockerfile, context = _context(session, parsed)
    query = [("dockerfile", dockerfile), *_query(parsed), *_own_query(session, parsed)]
    if outputs:
        query.append(("outputs", json.dumps([each.as_document() for each in outputs])))
    body, content_type = _body(parsed, context)
    messages = session.client.images.build(
        query, body, known_logins(session), content_type=content_type
    )
    built = _Built()
    shown = session.err if any(each.place == "-" for each in outputs) else session.out
    with Results(outputs) as results:
        show_progress(without_pieces(built.watched(messages), results), shown)
    if path := parsed.text("iidfile"):
        _write(path, built.image_id)
    if path := parsed.text("metadata-file"):
        _write(path, json.dumps(built.metadata(parsed.texts("tag")), indent=2))
    return 0


def _write(path: str, content: str) -> None:
    with open(path, "w") as file:
        file.write(content)


def _outputs(parsed: Parsed) -> list[Output]:
    outputs = [read_output(each) for each in parsed.texts("output")]
    if parsed.is_on("push"):
        outputs.append(Output("image", {"push": "true"}))
    if parsed.is_on("load"):
        outputs.append(Output("image"))
    return outputs


def _own_query(session: Session, parsed: Parsed) -> list[tuple[str, str]]:
    """What our own engine understands beside Docker's parameters."""
    is_local = session.endpoint.is_unix
    agents = dict(agent(each, is_local=is_local) for each in parsed.texts("ssh"))
    images = {
        name: place
        for name, place in map(named_context, parsed.texts("build-context"))
        if isinstance(place, str)
    }
    query = [("remote", parsed.arguments[0])] if _is_remote(parsed.arguments[0]) else []
    query += [("allow", each) for each in parsed.texts("allow")]
    query += [("nocachefilter", each) for each in parsed.texts("no-cache-filter")]
    caches = [cache_reference(each) for each in parsed.texts("cache-from")]
    query += [("cachefrom", json.dumps(caches))] if caches else []
    left = [read_cache(each).as_document() for each in parsed.texts("cache-to")]
    query += [("cacheto", json.dumps(left))] if left else []
    query += [("ssh", json.dumps(agents))] if agents else []
    query += [("contexts", json.dumps(images))] if images else []
    return query


def _body(parsed: Parsed, context: Iterator[bytes]) -> tuple[Iterable[bytes], str]:
    """The context alone, or behind what else there is to send; and how that is written."""
    parts = [secret_part(each) for each in parsed.texts("secret")]
    contexts = [place for _name, place in map(named_context, parsed.texts("build-context"))]
    parts += [each for each in contexts if isinstance(each, Part)]
    if not parts:
        return context, "application/x-tar"
    body = PartedBody([*parts, Part("context", "", context)])
    return body, body.content_type


class _Built:
    """What a build's messages say beside what they show."""

    def __init__(self) -> None:
        self.image_id = ""
        self._digest = ""

    def metadata(self, names: list[str]) -> Document:
        """What `--metadata-file` tells, under BuildKit's names."""
        found: Document = {"containerimage.config.digest": self.image_id}
        if self._digest:
            found["containerimage.digest"] = self._digest
        if names:
            found["image.name"] = ",".join(names)
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
                continue
            yield message


def _query(parsed: Parsed) -> list[tuple[str, str]]:
    query = [("t", name) for name in parsed.texts("tag")]
    query += [("extrahosts", host) for host in parsed.texts("add-host")]
    query += [(key, parsed.text(flag)) for flag, key in _PLAIN if parsed.text(flag)]
    query += [(key, str(parsed.number(flag))) for flag, key in _NUMBERS if parsed.number(flag)]
    query += [(key, "1") for flag, key in _SWITCHES if parsed.is_on(flag)]
    query.append(("rm", "1" if parsed.is_on("rm", default=True) else "0"))
    if parsed.is_on("quiet"):
        query.append(("q", "1"))
    if parsed.was_given("build-arg"):
        query.append(("buildargs", json.dumps(_arguments(parsed.texts("build-arg")))))
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


def _context(session: Session, parsed: Parsed) -> tuple[str, Iterator[bytes]]:
    """The Dockerfile's name in the context, and the context as a tar."""
    place, dockerfile = parsed.arguments[0], parsed.text("file")
    if _is_remote(place):
        return dockerfile or "Dockerfile", iter(())
    if place == _STDIN:
        if dockerfile == _STDIN:
            raise CommandFailed(
                "invalid argument: can't use stdin for both build context and dockerfile"
            )
        return _from_stdin(dockerfile)
    if not os.path.isdir(place):
        raise CommandFailed(f'unable to prepare context: path "{place}" not found')
    return _from_directory(session, place, dockerfile, is_quiet=parsed.is_on("quiet"))


def _is_remote(place: str) -> bool:
    """Whether the engine fetches the context."""
    return place.startswith(("http://", "https://", "git://", "git@", "ssh://", "github.com/"))


def _from_stdin(dockerfile: str) -> tuple[str, Iterator[bytes]]:
    """Standard input: a context as a tar, or a Dockerfile without a context."""
    stdin = sys.stdin.buffer
    head = stdin.read(512)
    if head[257:262] != _TAR_MAGIC and not head.startswith(_COMPRESSED):
        return "Dockerfile", _alone("Dockerfile", head + stdin.read())

    def pieces() -> Iterator[bytes]:
        yield head
        while piece := stdin.read(_PIECE_BYTES):
            yield piece

    return dockerfile or "Dockerfile", pieces()


def _from_directory(
    session: Session, place: str, dockerfile: str, *, is_quiet: bool
) -> tuple[str, Iterator[bytes]]:
    top = os.path.realpath(place)
    extra = b""
    if dockerfile == _STDIN:
        name, extra = _SENT_DOCKERFILE, sys.stdin.buffer.read()
    else:
        path = dockerfile or os.path.join(top, "Dockerfile")
        if dockerfile and not os.path.exists(path):
            path = os.path.join(top, dockerfile)
        try:
            with open(path, "rb") as file:
                content = file.read()
        except OSError as problem:
            raise CommandFailed(
                "unable to prepare context: unable to evaluate symlinks in Dockerfile path: "
                f"lstat {path}: {(problem.strerror or '').lower()}"
            ) from None
        name = os.path.relpath(os.path.realpath(path), top)
        if name.startswith("../"):
            name, extra = _SENT_DOCKERFILE, content
    ignore = _ignored(top, name)
    wanted = {name, f"{name}.dockerignore", ".dockerignore"}

    def is_left_out(called: str) -> bool:
        inside = called.removeprefix("./")
        return inside != "." and inside not in wanted and ignore.excludes(inside)

    pieces = pack(top, ".", is_left_out)
    if extra:
        pieces = _followed(_alone(_SENT_DOCKERFILE, extra), pieces)
    return name, pieces if is_quiet else _told(session, pieces)


def context_of_directory(
    session: Session, place: str, dockerfile: str
) -> tuple[str, Iterator[bytes]]:
    """The Dockerfile's name in the context, and a directory as a context."""
    if not os.path.isdir(place):
        raise CommandFailed(f'unable to prepare context: path "{place}" not found')
    return _from_directory(session, place, os.path.join(place, dockerfile), is_quiet=True)


def context_of_text(session: Session, place: str, content: str) -> tuple[str, Iterator[bytes]]:
    """As `context_of_directory`, with a Dockerfile that is no file."""
    if not os.path.isdir(place):
        raise CommandFailed(f'unable to prepare context: path "{place}" not found')
    top = os.path.realpath(place)
    ignore = _ignored(top, "Dockerfile")
    alone = _alone(_SENT_DOCKERFILE, content.encode())
    pieces = pack(top, ".", lambda called: ignore.excludes(called.removeprefix("./")))
    return _SENT_DOCKERFILE, _followed(alone, pieces)


def _ignored(top: str, dockerfile: str) -> Ignore:
    """The patterns beside the Dockerfile, or those of the context."""
    for each in (f"{dockerfile}.dockerignore", ".dockerignore"):
        try:
            with open(os.path.join(top, each), "rb") as file:
                return Ignore(read_ignore(file.read()))
        except FileNotFoundError:
            continue
        except BadPattern as problem:
            raise CommandFailed(f"error checking context: {problem}") from None
    return Ignore(())


def _alone(name: str, content: bytes) -> Iterator[bytes]:
    """A tar of one file."""
    import tarfile

    member = tarfile.TarInfo(name)
    member.size = len(content)
    yield member.tobuf(tarfile.PAX_FORMAT) + content
    yield bytes(-len(content) % tarfile.BLOCKSIZE) + bytes(2 * tarfile.BLOCKSIZE)


def _followed(first: Iterator[bytes], second: Iterator[bytes]) -> Iterator[bytes]:
    """Two tars as one: the first without the blocks that would end it."""
    head = b"".join(first)
    yield head[:-1024]
    yield from second


def _told(session: Session, pieces: Iterator[bytes]) -> Iterator[bytes]:
    sent = 0
    for piece in pieces:
        sent += len(piece)
        yield piece
    session.say(f"Sending build context to Docker daemon  {human_size(sent)}")


_HOSTS = repeated("list", networking.read_extra_host)
BUILD = Command(
    shape="PATH | -",
    summary="Build an image from a Dockerfile",
    arguments=ONE,
    run=build,
    flags=(
        Flag("allow", LIST, "Grant RUN more (network.host, security.insecure)"),
        Flag("build-context", LIST, "Another context (name=path or docker-image://)"),
        Flag("add-host", _HOSTS, "Add a host name (host:ip)"),
        Flag("build-arg", LIST, "Set a build-time variable"),
        Flag("cache-from", LIST, "Images to find results in (name, or type=registry,ref=name)"),
        Flag("cache-to", LIST, "Where to leave results (type=inline, or type=registry,ref=name)"),
        Flag("cgroup-parent", STRING, "The cgroup that those of RUN are below"),
        Flag("cpu-period", INT, "Limit the CPU CFS period"),
        Flag("cpu-quota", INT, "Limit the CPU CFS quota"),
        Flag("cpu-shares", INT, "CPU shares (relative weight)", short="c"),
        Flag("cpuset-cpus", STRING, "CPUs that may be used (0-3, 0,1)"),
        Flag("cpuset-mems", STRING, "Memory nodes that may be used (0-3, 0,1)"),
        Flag("file", STRING, 'Name of the Dockerfile ("PATH/Dockerfile")', short="f"),
        Flag("force-rm", SWITCH, "Always remove the containers of RUN"),
        Flag("iidfile", STRING, "Write the image's id to a file"),
        Flag("label", LIST, "Set metadata of the image"),
        Flag("memory", BYTES, "Memory limit of RUN", short="m"),
        Flag("memory-swap", BYTES_OR_UNLIMITED, "Limit of memory plus swap; -1 for any swap"),
        Flag("network", STRING, "The network of RUN"),
        Flag("no-cache", SWITCH, "Use no result of an earlier build"),
        Flag("load", SWITCH, "Keep the image in the engine (as --output=type=docker)"),
        Flag("metadata-file", STRING, "Write what is known of the result to a file"),
        Flag("no-cache-filter", LIST, "Stages that use no result of an earlier build"),
        Flag("output", LIST, "What becomes of the result (type=local,dest=path)", short="o"),
        Flag("platform", STRING, "Platform of the image"),
        absent_flag("progress", "other ways of showing progress", label="string"),
        Flag("pull", SWITCH, "Always try to pull a newer version of the base"),
        Flag("quiet", SWITCH, "Show the image's id only", short="q"),
        Flag("rm", SWITCH, "Remove the containers of RUN after success", default="true"),
        Flag("push", SWITCH, "Send the image to its registry (as --output=type=registry)"),
        Flag("secret", LIST, "A secret for RUN (id=mysecret,src=/path or env=NAME)"),
        Flag("shm-size", BYTES, "Size of /dev/shm"),
        Flag("squash", SWITCH, "One layer for all that the build adds to its base"),
        Flag("ssh", LIST, "An SSH agent for RUN (default, or NAME=SOCKET)"),
        Flag("tag", LIST, "Name of the image (name:tag)", short="t"),
        Flag("target", STRING, "The stage to build"),
        Flag("ulimit", repeated("ulimit", limits.read_ulimit), "Limits of RUN"),
    ),
)
