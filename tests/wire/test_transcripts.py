"""Whole conversations, compared with files that are reviewed as code.

Each scene is a list of requests to a fake engine; its transcript per API version is in
`transcripts/`. `./dev golden --update` writes them anew.
"""

import asyncio
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from support.fake_engine import SECOND, FakeEngine, served
from support.golden import assert_golden
from support.http_over_unix import Answer, request
from wherry.kit.streams import STDERR, STDOUT
from wherry.model.events import Event
from wherry.model.outcomes import Progress
from wherry.model.queries import LogLine

TRANSCRIPTS = Path(__file__).with_name("transcripts")
VERSIONS = ("1.24", "1.41", "1.47", "1.51")

Step = tuple[str, str] | tuple[str, str, object]

FULL_REQUEST = {
    "Image": "busybox", "Cmd": ["sleep", "10 s"], "Env": ["A=b"], "Labels": {"a": "b"},
    "ExposedPorts": {"90/tcp": {}}, "OpenStdin": True, "StopTimeout": 2,
    "HostConfig": {
        "Binds": ["/tmp:/mnt:ro"], "PortBindings": {"80/tcp": [{"HostPort": "8080"}]},
        "Memory": 67108864, "NanoCpus": 500000000, "CapAdd": ["NET_ADMIN"],
        "Mounts": [{"Type": "tmpfs", "Target": "/t", "TmpfsOptions": {"SizeBytes": 1048576}}],
        "Tmpfs": {"/run": "size=1m"}, "Ulimits": [{"Name": "nofile", "Soft": 10, "Hard": 20}],
        "SecurityOpt": ["no-new-privileges"], "ExtraHosts": ["a:1.2.3.4"],
    },
}  # fmt: skip

SCENES: Mapping[str, Sequence[Step]] = {
    "system": (
        ("HEAD", "/_ping"),
        ("GET", "/_ping"),
        ("GET", "/version"),
        ("GET", "/info"),
        ("GET", "/events?until=1&filters={%22type%22:[%22container%22]}"),
        ("GET", "/system/df"),
        ("GET", "/volumes"),
        ("GET", "/plugins"),
        ("GET", "/swarm"),
        ("GET", "/networks"),
        ("GET", "/networks/bridge"),
        ("GET", "/networks/nope"),
    ),
    "container": (
        ("POST", "/containers/create?name=web", FULL_REQUEST),
        ("GET", "/containers/json?all=1"),
        ("POST", "/containers/web/start"),
        ("POST", "/containers/web/start"),
        ("GET", "/containers/web/json"),
        ("GET", "/containers/json?size=1"),
        ("GET", "/containers/web/top"),
        ("GET", "/containers/web/logs?stdout=1&stderr=1&timestamps=1&details=1"),
        ("POST", "/containers/web/resize?h=24&w=80"),
        ("POST", "/containers/web/pause"),
        ("POST", "/containers/web/pause"),
        ("POST", "/containers/web/start"),
        ("DELETE", "/containers/web"),
        ("POST", "/containers/web/unpause"),
        ("POST", "/containers/web/unpause"),
        ("DELETE", "/containers/web"),
        ("POST", "/containers/web/exec", {"Cmd": ["true"], "User": "1"}),
        ("POST", "/exec/0002/start", {"Detach": True}),
        ("POST", "/containers/web/stop?t=3&signal=SIGINT"),
        ("POST", "/containers/web/stop"),
        ("POST", "/containers/web/kill"),
        ("POST", "/containers/web/exec", {"Cmd": ["true"]}),
        ("POST", "/containers/web/wait"),
        ("POST", "/containers/create?name=web", {"Image": "busybox"}),
        ("POST", "/containers/create", {"Image": "nope"}),
        ("POST", "/containers/web/rename?name=site"),
        ("GET", "/wherry/containers/site/explain"),
        ("DELETE", "/containers/site?force=1"),
        ("GET", "/containers/site/json"),
        ("GET", "/containers/site/stats"),
    ),
    "images": (
        ("GET", "/images/json"),
        ("GET", "/images/busybox/json"),
        ("GET", "/images/nope/json"),
        ("GET", "/images/busybox/history"),
        ("POST", "/images/busybox/tag?repo=reg.example/a/b&tag=v1"),
        ("GET", "/images/reg.example/a/b:v1/json"),
        ("GET", "/images/get?names=busybox"),
        ("POST", "/images/load", b"archive"),
        ("POST", "/images/load?quiet=1", b"archive"),
        ("POST", "/images/create?fromSrc=-&repo=x&tag=1&message=m&changes=CMD+a", b"tar"),
        ("POST", "/images/create?fromImage=nope&tag=latest"),
        ("POST", "/wherry/images/bootstrap?reference=hello"),
        ("DELETE", "/images/busybox"),
    ),
}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("scene", SCENES)
async def test_transcript(scene: str, version: str) -> None:
    """The conversation is what the file says, for each version."""
    engine = _engine()
    shown = []
    async with served(engine) as path:
        for method, target, *body in SCENES[scene]:
            sent = body[0] if body else None
            answer = await asyncio.to_thread(request, path, method, f"/v{version}{target}", sent)
            shown.append(_shown(method, target, sent, answer))
    assert_golden(TRANSCRIPTS / f"{scene}-{version}.txt", "\n".join(shown))


def _engine() -> FakeEngine:
    attributes = {"image": "busybox", "name": "web"}
    return FakeEngine(
        log=[
            LogLine(STDOUT, 1_700_000_000 * SECOND + 5, b"out\n", {"b": "2", "a": "1 ="}),
            LogLine(STDERR, 1_700_000_001 * SECOND, b"err\n"),
        ],
        events=[
            Event(sequence=1, at_ns=1_700_000_000 * SECOND + 7, kind="container", action="start",
                  actor_id="c" * 64, attributes=attributes),
            Event(sequence=2, at_ns=1_700_000_001 * SECOND, kind="network", action="connect",
                  actor_id="b" * 64),
        ],
        progress=[
            Progress(status="Loading layer", id="abc", current=1, total=2),
            Progress(stream="Loaded image: busybox:latest\n"),
        ],
    )  # fmt: skip


def _shown(method: str, target: str, body: object, answer: Answer) -> str:
    lines = [f"> {method} {target}"]
    if body is not None:
        lines.append(f"> {json.dumps(body) if not isinstance(body, bytes) else body.decode()}")
    lines.append(f"< {answer.status}")
    lines += [
        f"< {name}: {value}"
        for name, value in sorted(answer.headers.items())
        if name not in ("Date", "Content-Length")
    ]
    return "\n".join([*lines, _body_shown(answer), ""])


def _body_shown(answer: Answer) -> str:
    content_type = answer.headers.get("Content-Type", "")
    if content_type != "application/json":
        return answer.body.decode(errors="backslashreplace").replace("\x00", "\\0")
    return "\n".join(json.dumps(each, indent=1) for each in answer.lines)
