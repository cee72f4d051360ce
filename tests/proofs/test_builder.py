"""RELIABILITY row 24: what a Dockerfile, a repository or a client may try to do to the host.

Sources and contexts that lead outside (B06, A09) are in `tests/parity/test_build_mounts.py` and
`test_hostile_contexts.py`.
"""

import asyncio
import base64
import io
import json
import os
import random
import re
import socket
import tarfile
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, urlencode

import pytest
from grpclib.exceptions import GRPCError

from support.build_session import Raw, caller
from support.builds import classic_build, remove_what_was_built, write_dockerfile
from support.buildx import BuildClient
from support.daemon import Engine
from support.mutants import RESOLVED_BY_THE_HOST, Mutant, mutated_engine
from support.mutations import mutated
from support.proof_size import Size
from support.web_sites import git_repository, web_site
from wherry.api.hijack import LARGEST_HEAD
from wherry.wire.protobuf import Message

LINKS_FOLLOWED = Mutant(
    "mount points are cleared away through links",
    "builder/steps/mount_points.py",
    "                resolve=RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS,\n",
    "                resolve=0,\n",
)
GRANTED = Mutant(
    "every command is granted what it asks for",
    "builder/planning.py",
    "            if wanted and entitlement not in self._entitlements:\n",
    "            if False:\n",
)
SAID_AS_IT_IS = Mutant(
    "a refusal is said with the client's bytes in it",
    "api/buildkit/failures.py",
    'return text.encode(errors="surrogateescape").decode(errors="replace")',
    "return text",
)
ANY_PROTOCOL = (
    Mutant(
        "a repository may be anything that ends so",
        "builder/sources/git_sources.py",
        '_BY_ENDING = re.compile(r"https?://',
        '_BY_ENDING = re.compile(r"',
    ),
    Mutant(
        "a place may be any text",
        "builder/sources/git_sources.py",
        "    if not _PLACE.fullmatch(url):\n",
        "    if False:\n",
    ),
    Mutant(
        "git speaks every protocol",
        "builder/sources/git_sources.py",
        '"protocol.allow=never"',
        '"protocol.allow=always"',
    ),
)
REFERENCE_IS_OPTION = (
    *ANY_PROTOCOL,
    Mutant(
        "a reference may be any word",
        "builder/sources/git_sources.py",
        "    if reference and not _REFERENCE.fullmatch(reference):\n",
        "    if False:\n",
    ),
    Mutant(
        "options end nowhere",
        "builder/sources/git_sources.py",
        '"fetch", "--quiet", "--depth=1", "--", place.url, wanted',
        '"fetch", "--quiet", "--depth=1", place.url, wanted',
    ),
)
DIRECTORY_OF_THE_HOST = Mutant(
    "a directory of a repository is looked for as the host has it",
    "builder/sources/remote.py",
    "open_in_root(root, place.directory, os.O_RDONLY | os.O_DIRECTORY)",
    "os.open(place.directory, os.O_RDONLY | os.O_DIRECTORY, dir_fd=root)",
)
CONTEXT_ITSELF = Mutant(
    "a bind shows the context itself, and no copy",
    "builder/steps/mounts.py",
    "            name = await self._offload(_copied, view, _clean(source), place)\n",
    "            place, name = view.tree._path, _clean(source)\n",
)
SECRET_IN_RECORD = Mutant(
    "a secret is a variable of the container's record",
    "builder/steps/mounts.py",
    "            made.secrets[variable] = path\n",
    "            made.environment[variable] = content.decode()\n",
)


@pytest.fixture
def builder(engine: Engine) -> Iterator[Engine]:
    """The run's engine, without what was built."""
    yield engine
    remove_what_was_built(engine)


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    """A directory of the host that nothing may touch."""
    place = tmp_path / "canary"
    (place / "empty").mkdir(parents=True)
    (place / "in").mkdir()
    (place / "secret").write_text("the host's")
    return place


def listed(place: Path) -> list[str]:
    """All that is below a directory."""
    return sorted(str(each.relative_to(place)) for each in place.rglob("*"))


def context(place: Path, dockerfile: str) -> Path:
    """A directory with a Dockerfile."""
    place.mkdir(exist_ok=True)
    write_dockerfile(place, dockerfile)
    return place


# -- B01: a cache that two commands share ----------------------------------------------------


_PATIENCE_S = 60
"""How long one build of a race may take."""


def raced_cache(engine: Engine, tmp_path: Path, canary: Path, builds: int) -> tuple[int, int]:
    """Mounts below a directory of a cache that another command swaps for a link to the host.

    Returns: how many mounts came about, and how many things in the canary changed.
    """
    before = listed(canary)
    swapping = context(
        tmp_path / "swapping",
        "FROM busybox\nRUN --mount=type=cache,id=raced,target=/c rm -rf /c/*; "
        "while [ ! -e /c/stop ]; do "
        f"rm -rf /c/d; mkdir /c/d; rm -rf /c/d; ln -s {canary} /c/d; done\n",
    )
    mounting = context(
        tmp_path / "mounting",
        "FROM busybox\nARG N\nRUN --mount=type=cache,id=raced,target=/c "
        "--mount=type=tmpfs,target=/c/d/made$N test ! -e /c/d/secret\n",
    )
    stopping = context(
        tmp_path / "stopping",
        "FROM busybox\nRUN --mount=type=cache,id=raced,target=/c touch /c/stop\n",
    )
    other = threading.Thread(
        target=engine.wherry,
        args=("build", "--no-cache", str(swapping)),
        kwargs={"timeout_s": builds * _PATIENCE_S},
    )
    other.start()
    try:
        came = 0
        for number in range(builds):
            flags = ("--build-arg", f"N={number}", "-q")
            came += engine.wherry("build", *flags, str(mounting)).returncode == 0
            if listed(canary) != before:
                break
        assert other.is_alive(), "nobody swapped any more"
    finally:
        engine.wherry("build", "--no-cache", str(stopping))
        other.join()
    return came, len(set(listed(canary)) ^ set(before))


def test_a_raced_cache(
    builder: Engine, tmp_path: Path, canary: Path, size: Size, figure: list[str]
) -> None:
    """A mount point below a cache is never made outside, whatever the moment (B01)."""
    builds = size.of(500, 10)
    came, changed = raced_cache(builder, tmp_path, canary, builds)
    figure.append(f"{builds} races, {came} mounts came about, {changed} things of the host's")
    assert changed == 0
    assert came, "no mount came about"
    assert (canary / "secret").read_text() == "the host's"


def test_raced_cache_mutant(tmp_path: Path, canary: Path, figure: list[str]) -> None:
    """Where a mount point is made by a name of the host's, it is made in the host."""
    with mutated_engine(RESOLVED_BY_THE_HOST) as engine:
        _came, changed = raced_cache(engine, tmp_path, canary, 500)
    assert changed
    figure.append(f"killed: {RESOLVED_BY_THE_HOST.name}")


# -- B02: what is cleared away after a step --------------------------------------------------


def cleared_away(engine: Engine, tmp_path: Path, canary: Path) -> list[str]:
    """What is left of the canary when commands put links to it where mounts were."""
    ends = ("empty", "in", "new")
    steps = "".join(
        f"RUN --mount=type=tmpfs,target=/p{number}/{end} mv /p{number} /gone{number}; "
        f"ln -s {canary} /p{number}\n"
        for number, end in enumerate(ends)
    )
    deep = (
        f"RUN --mount=type=tmpfs,target=/q/empty/x mv /q /r; mkdir /q; ln -s {canary} /q/empty\n"
        f"RUN --mount=target=/s/secret mv /s /t; ln -s {canary} /s\n"
    )
    classic_build(engine, context(tmp_path / "clearing", f"FROM busybox\n{steps}{deep}"))
    return listed(canary)


def test_what_is_cleared_away(builder: Engine, tmp_path: Path, canary: Path) -> None:
    """No mount point is looked for through a link (B02)."""
    before = listed(canary)
    assert cleared_away(builder, tmp_path, canary) == before


def test_clearing_mutant(tmp_path: Path, canary: Path, figure: list[str]) -> None:
    """Through a link the host's empty directories go."""
    before = listed(canary)
    with mutated_engine(LINKS_FOLLOWED) as engine:
        assert cleared_away(engine, tmp_path, canary) != before
    figure.append(f"killed: {LINKS_FOLLOWED.name}")


# -- B03: what a command is granted ----------------------------------------------------------

_WISHES = (
    {"securityopt": '["seccomp=unconfined"]'},
    {"privileged": "1"},
    {"capadd": '["ALL"]'},
    {"isolation": "none"},
    {"entitlements": "security.insecure"},
    {"allow": "security.insecure"},
    {"networkmode": "container:none"},
    {"shmsize": "-1"},
    {"cgroupparent": "../../.."},
    {"cgroupparent": "/"},
    {"memory": "99999999999999999999"},
    {"ulimits": '[{"Name":"nofile","Hard":-1,"Soft":-1}]'},
    {"user": "root"},
    {"seccomp": "unconfined"},
)
_STATUS = "grep -E '^(Cap(Eff|Prm|Bnd|Amb)|Seccomp|NoNewPrivs):' /proc/self/status"


def post_build(engine: Engine, dockerfile: str, wishes: dict[str, str]) -> bytes:
    """What `POST /build` answers."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        entry = tarfile.TarInfo("Dockerfile")
        entry.size = len(dockerfile)
        archive.addfile(entry, io.BytesIO(dockerfile.encode()))
    query = urlencode({"nocache": "1", **wishes})
    return bytes(engine.api("POST", f"/build?{query}", packed.getvalue(), timeout_s=60).body)


def test_a_command_is_granted_nothing(builder: Engine, size: Size, figure: list[str]) -> None:
    """Whatever the fields of a request: refused, or the profile of any container (B03)."""
    own = builder.docker_ok("run", "--rm", "busybox", "sh", "-c", _STATUS).split("\n")
    dice, refused, ran = random.Random(3), 0, 0
    for _number in range(size.of(200, 12)):
        wishes = {name: value for each in dice.sample(_WISHES, 2) for name, value in each.items()}
        answer = post_build(builder, f"FROM busybox\nRUN {_STATUS}\n", wishes)
        said = [json.loads(line).get("stream", "") for line in answer.splitlines()]
        seen = [
            line for text in said for line in text.split("\n") if line.startswith(("Cap", "Sec"))
        ]
        ran, refused = ran + bool(seen), refused + (not seen)
        assert not seen or set(seen) <= set(own), (wishes, seen)
    figure.append(f"{ran} with the profile of any container, {refused} refused")
    assert ran
    assert refused


def test_what_has_to_be_allowed(builder: Engine, tmp_path: Path) -> None:
    """By no door does a Dockerfile grant itself anything (B03)."""
    assert not granted(builder, tmp_path)


def granted(engine: Engine, tmp_path: Path) -> list[str]:
    """Doors and flags by which a command got what nobody allowed."""
    found = []
    client = BuildClient(engine, context(tmp_path / "wanting", ""))
    for flag in ("--security=insecure", "--network=host"):
        client.write(Dockerfile=f"FROM busybox\nRUN {flag} true\n")
        for door in (client.docker, client.own, client.old_docker):
            ran = door("build", "--no-cache", ".", is_ok=False)
            if ran.returncode == 0:
                found.append(f"{door.__name__} {flag}")
            else:
                assert "is not allowed" in ran.stderr + ran.stdout
    return found


def test_granting_mutant(tmp_path: Path, figure: list[str]) -> None:
    """Without the look at what was allowed the flags are obeyed."""
    with mutated_engine(GRANTED) as engine:
        assert granted(engine, tmp_path)
    figure.append(f"killed: {GRANTED.name}")


# -- B04: requests that are none -------------------------------------------------------------

_NASTY = (
    "",
    "-1",
    "\x00",
    "%",
    "{",
    "[",
    '{"a":',
    "null",
    "9" * 40,
    "../..",
    "a" * 70_000,
    "\ud7ff",
)
_FIELDS = ("dockerfile", "t", "remote", "buildargs", "labels", "cachefrom", "platform", "target",
           "outputs", "memory", "ulimits", "extrahosts", "shmsize", "networkmode", "version",
           "session", "contexts", "ssh", "allow", "squash", "buildid", "cacheto")  # fmt: skip
_CALLS = ("Control/Solve", "Control/Status", "Control/ListWorkers", "Control/Prune",
          "Control/DiskUsage", "Control/ListenBuildHistory")  # fmt: skip
_LISTENING = {"Control/ListenBuildHistory"}
"""Calls that tell what will be: there may be nothing to tell."""
_LONGER_THAN_A_WAIT_S = 9
"""The engine waits for a session that was named, and for a build that was, some seconds."""


async def outcome(engine: Engine, name: str, content: bytes) -> str:
    """How a message on BuildKit's door ends: answered, refused with which status, or waiting."""
    async with caller(engine.socket) as calling:
        asking = calling.ask(f"/moby.buildkit.v1.{name}", Raw(content=content), Message)
        try:
            await asyncio.wait_for(asking, _LONGER_THAN_A_WAIT_S)
        except GRPCError as refusal:
            is_broken = refusal.message == "Internal Server Error"
            return f"broken {name}" if is_broken else refusal.status.name
        except TimeoutError:
            return "waiting" if name in _LISTENING else f"broken {name}"
    return "answered"


async def outcomes(engine: Engine, dice: random.Random, times: int) -> Counter[str]:
    """Those of so many messages with mistakes."""
    solve = b"\x0a\x05build\x2a\x0ddockerfile.v0\x32\x0f\x0a\x08filename\x12\x03abc\x1a\x01s"
    found: Counter[str] = Counter()
    for _number in range(times):
        name = dice.choice(_CALLS)
        found[await outcome(engine, name, mutated(dice, solve, most_changes=7))] += 1
    return found


def test_requests_that_are_none(builder: Engine, size: Size, figure: list[str]) -> None:
    """The daemon is the same afterwards, and builds (B04)."""
    dice, pid, requests = random.Random(4), builder.pid, size.of(500, 60)
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("Dockerfile"), io.BytesIO(b""))
    statuses: Counter[str] = Counter()
    for _number in range(requests // 2):
        fields = {dice.choice(_FIELDS): dice.choice(_NASTY) for _field in range(2)}
        kind = dice.choice(("application/x-tar", "multipart/form-data; boundary=x", "", "text/x"))
        body = mutated(dice, packed.getvalue()[:1024], most_changes=7)
        target = f"/build?{urlencode(fields, errors='replace')}"
        try:
            answer = builder.api("POST", target, body, headers={"Content-Type": kind})
        except ConnectionError:
            # What asks for too much in one line is not listened to until the end of its body.
            assert len(target) > LARGEST_HEAD, (fields, kind)
            statuses["cut"] += 1
            continue
        statuses[str(answer.status)] += 1
        assert answer.status != 500, (fields, kind, answer.body)
    found = asyncio.run(outcomes(builder, dice, requests // 2))
    assert not [name for name in found if name.startswith("broken")], found
    told = {**statuses, **found}
    figure.append(f"{requests} requests, answers {told}, pid the same")
    assert builder.pid == pid
    assert b"Successfully built" in post_build(builder, "FROM busybox\nRUN true\n", {})


def test_requests_mutant(builder: Engine, figure: list[str]) -> None:
    """A refusal that repeats a client's bytes can't be sent as it is: nobody is answered."""
    filtered = b"\x0a\x05\xf4uild"
    assert asyncio.run(outcome(builder, "Control/DiskUsage", filtered)) == "UNKNOWN"
    with mutated_engine(SAID_AS_IT_IS) as engine:
        found = asyncio.run(outcome(engine, "Control/DiskUsage", filtered))
    assert found.startswith("broken")
    figure.append(f"killed: {SAID_AS_IT_IS.name}")


# -- B05: repositories -----------------------------------------------------------------------


def urls(site: str, place: Path, owned: Path) -> tuple[str, ...]:
    """URLs that would like to be commands; the command would make a file."""
    git, touch = f"{site}/r.git/.git", quote(f"touch {owned}")
    return (
        f"{git}#--upload-pack={touch}",
        f"{git}#--output={owned}",
        f"{git}#-x",
        f"{git}#-c{touch}",
        f"{git}#main:../../../../../../etc",
        f"{git}#main:out",
        f"{git}#main:/etc",
        f"{git}#$(touch {owned})",
        f"{git}#main;touch {owned}",
        f"{git}#`touch {owned}`",
        f"{git}#none",
        f"ext::sh -c touch% {owned}% .git",
        f"file://{place}/r.git/.git",
        f"file://{place}/r.git/.git#--upload-pack={touch}",
        f"file://{place}/r.git/.git#--upload-pack=touch {owned}",
        f"git://-oProxyCommand=touch {owned}/x.git",
        f"ssh://-oProxyCommand=touch {owned}/x.git",
        f"git@-oProxyCommand={touch}:x.git",
        "https://-x/y.git",
    )


def obeyed(engine: Engine, tmp_path: Path) -> tuple[int, list[str]]:
    """How many URLs there are, and which were taken or ran something."""
    owned, place = tmp_path / "owned", tmp_path / "site"
    place.mkdir()
    git_repository(place)
    found = []
    with web_site(engine, place) as site:
        wanted = urls(site, place, owned)
        for each in wanted:
            answer = engine.api("POST", f"/build?remote={quote(each, safe='')}", timeout_s=60)
            added = post_build(engine, f"FROM busybox\nADD {json.dumps([each, '/x'])}\n", {})
            taken = b"Successfully built" in bytes(answer.body) or b"Successfully built" in added
            if taken or owned.exists():
                found.append(each)
                owned.unlink(missing_ok=True)
    return len(wanted), found


def test_repositories_that_are_commands(
    builder: Engine, tmp_path: Path, figure: list[str]
) -> None:
    """A reference is no option, a directory is the repository's, a protocol is known (B05)."""
    count, found = obeyed(builder, tmp_path)
    figure.append(f"{count} URLs as context and by ADD, {len(found)} taken")
    assert found == []


@pytest.mark.parametrize(
    ("mutants", "taken"),
    [
        (ANY_PROTOCOL, "ext::"),
        (REFERENCE_IS_OPTION, "--upload-pack"),
        ((DIRECTORY_OF_THE_HOST,), "main:"),
    ],
    ids=["protocols", "references", "directories"],
)
def test_repositories_mutants(
    tmp_path: Path, mutants: tuple[Mutant, ...], taken: str, figure: list[str]
) -> None:
    """Without one of the looks at a URL it is obeyed."""
    with mutated_engine(*mutants) as engine:
        _count, found = obeyed(engine, tmp_path)
    assert [each for each in found if taken in each], found
    figure.append(f"killed: {', '.join(each.name for each in mutants)} ({len(found)} taken)")


# -- B07: what is written to a context -------------------------------------------------------


def seen_of_writing(engine: Engine, tmp_path: Path, door: str) -> list[str]:
    """What is left of what a command writes to its context: who sees it, and how often."""
    client = BuildClient(engine, context(tmp_path / f"project-{door}", ""))
    client.write(
        a_txt="a\n",
        Dockerfile="FROM busybox\n"
        "RUN --mount=target=/c,rw echo new > /c/a.txt; rm /c/Dockerfile; echo x > /c/x\n"
        "RUN --mount=target=/c cat /c/a.txt > /seen; ls /c >> /seen\nCOPY . /copied/\n",
    )
    found = []
    for flags in ((), ("--no-cache",)):
        getattr(client, door)("build", *flags, "-t", "written", ".")
        shown = engine.docker_ok(
            "run", "--rm", "written", "sh", "-c", "cat /seen /copied/a.txt; ls /copied"
        )
        if shown.split() != ["a", "Dockerfile", "a.txt", "a", "Dockerfile", "a.txt"]:
            found.append(f"a step of a build {' '.join(flags)}: {shown.split()}")
    if (client.directory / "a.txt").read_text() != "a\n" or (client.directory / "x").exists():
        found.append("the client")
    return found


@pytest.mark.parametrize("door", ["docker", "own"])
def test_what_is_written_to_a_context(builder: Engine, tmp_path: Path, door: str) -> None:
    """It is gone with the step: for the next one, the next build, and the client (B07)."""
    assert seen_of_writing(builder, tmp_path, door) == []


def test_written_context_mutant(tmp_path: Path, figure: list[str]) -> None:
    """Without a copy of its own the next step finds what the one before it wrote."""
    with mutated_engine(CONTEXT_ITSELF) as engine:
        assert seen_of_writing(engine, tmp_path, "docker")
    figure.append(f"killed: {CONTEXT_ITSELF.name}")


# -- B08: what nobody else may know ----------------------------------------------------------

SECRET = "s3cr3t/+=of%the day"
_REGISTRY = "registry/+=pass%word"
_ADDRESS = "address%2B%3Dpassword"
_PROXY = "proxy%2Bpassword"
_EXCERPT = re.compile(r"\s*\d+ \| ")
"""A line of the Dockerfile, as clients show where a step failed."""


def forms(secret: str) -> tuple[bytes, ...]:
    """A text as it is, in base64 and percent-encoded."""
    return (
        secret.encode(),
        base64.b64encode(secret.encode()),
        base64.urlsafe_b64encode(secret.encode()),
        quote(secret, safe="").encode(),
    )


def built_with_secrets(engine: Engine, tmp_path: Path) -> bytes:
    """Everything that is said of builds that were told secrets, by every door."""
    (tmp_path / "secret").write_text(SECRET)
    place = tmp_path / "site"
    place.mkdir()
    git_repository(place)
    (place / "file").write_text("f")
    told = []
    client = BuildClient(engine, context(tmp_path / "project", ""))
    client.config.joinpath("config.json").write_text(
        json.dumps({"auths": {"registry.example": {
            "auth": base64.b64encode(f"u:{_REGISTRY}".encode()).decode()}}})
    )  # fmt: skip
    agent = str(tmp_path / "a.sock")
    with web_site(engine, place) as site, socket.socket(socket.AF_UNIX) as listening:
        listening.bind(agent)
        listening.listen()
        address = site.replace("://", f"://user:{_ADDRESS}@")
        client.write(
            Dockerfile="FROM busybox\n"
            "RUN --mount=type=secret,id=s sha256sum < /run/secrets/s > /sum\n"
            'RUN --mount=type=secret,id=s,env=S test -n "$S" && env | grep -c S= > /n\n'
            "RUN --mount=type=ssh test -S $SSH_AUTH_SOCK\n"
            'RUN test -n "$HTTP_PROXY"\n'
            "RUN --mount=type=secret,id=s cat /run/secrets/none || true\n"
        )
        flags = ("--secret", f"id=s,src={tmp_path}/secret", "--ssh", f"default={agent}",
                 "--build-arg", f"HTTP_PROXY=http://u:{_PROXY}@p.example")  # fmt: skip
        for door in (client.own, client.docker):
            ran = door("build", "--no-cache", *flags, "-t", "kept", ".")
            told.append(ran.stdout + ran.stderr)
        client.write(Dockerfile=f"FROM busybox\nADD {address}/file /f\nADD {address}/none /n\n")
        for door in (client.own, client.docker):
            ran = door("build", "--no-cache", ".", is_ok=False)
            assert ran.returncode
            # What a client shows of its own Dockerfile is the user's.
            lines = (ran.stdout + ran.stderr).splitlines()
            told += [line for line in lines if not _EXCERPT.match(line)]
        client.write(Dockerfile="FROM busybox\n")
        # A kept copy has what the user's directory has, and no longer than that.
        for door in (client.own, client.docker):
            door("build", "-q", ".")
        for wanted in (f"{address}/r.git/.git#v1", f"{address}/r.git/.git#none"):
            answer = engine.api("POST", f"/build?t=far&remote={quote(wanted, safe='')}")
            told.append(bytes(answer.body).decode())
    told.append(engine.docker_ok("history", "--no-trunc", "kept"))
    told.append(engine.docker_ok("inspect", "kept"))
    told.append(engine.docker_ok("system", "df", "-v"))
    told.append(client.docker("buildx", "du", "--verbose").stdout)
    return "\n".join(told).encode()


def hits(engine: Engine, said: bytes) -> list[str]:
    """Where any of the secrets is found: in what was said, and in all files of the engine."""
    secrets = (SECRET, _REGISTRY, _ADDRESS, _PROXY)
    found = [
        f"said: {line.decode()}"
        for line in said.splitlines()
        if any(form in line for each in secrets for form in forms(each))
    ]
    for place, _directories, names in os.walk(engine.root):
        for name in names:
            path = Path(place, name)
            if path.is_file() and not path.is_symlink():
                content = path.read_bytes()
                found += [
                    f"{path.relative_to(engine.root)}: {each}"
                    for each in secrets
                    if any(form in content for form in forms(each))
                ]
    return found


@pytest.fixture
def talkative() -> Iterator[Engine]:
    """An engine of its own that logs everything."""
    made = Engine("--debug")
    try:
        made.start()
        made.bootstrap()
        yield made
    finally:
        made.close()


def test_secrets_are_nowhere(talkative: Engine, tmp_path: Path, figure: list[str]) -> None:
    """Not in layers, records, caches, logs, or in what anybody is told (B08)."""
    found = hits(talkative, built_with_secrets(talkative, tmp_path))
    figure.append(f"4 secrets in 4 forms, {len(found)} hits")
    assert not found, "\n".join(found)


def test_secrets_mutant(tmp_path: Path, figure: list[str]) -> None:
    """As a variable like any other a secret would be in the container's record."""
    with mutated_engine(SECRET_IN_RECORD) as engine:
        assert hits(engine, built_with_secrets(engine, tmp_path))
    figure.append(f"killed: {SECRET_IN_RECORD.name}")
