"""Whatever comes over the wire: Docker's status and one sentence, and never a 500."""

import asyncio
import json
from urllib.parse import quote

import pytest

from support.fake_engine import FakeEngine, served
from support.http_over_unix import Answer, exchange, request
from wherry.api.call import LARGEST_BODY
from wherry.model.errors import StepFailed
from wherry.model.outcomes import Progress

BODY_TAKERS = ("/containers/create", "/containers/a/exec", "/exec/{exec}/start")

NOT_JSON = {
    "truncated": b'{"Image":"busy',
    "trailing": b'{"Image":"busybox"} x',
    "two values": b'{"Image":"busybox"}{}',
    "nan": b'{"Image":"busybox","StopTimeout":NaN}',
    "infinity": b'{"Image":"busybox","x":Infinity}',
    "surrogate": b'{"Image":"\\ud800"}',
    "deep": b'{"x":' + b"[" * 10_000 + b"]" * 10_000 + b"}",
    "huge number": b'{"x":' + b"9" * 4301 + b"}",
    "bom": b'\xef\xbb\xbf{"Image":"busybox"}',
    "utf-16": '{"Image":"busybox"}'.encode("utf-16"),
    "not utf-8": b'{"Image":"\xff"}',
    "array": b"[]",
    "number": b"5",
    "string": b'"x"',
    "nul": b'{"Image":"busybox","Cmd":["a\\u0000b"],"Hostname":"a"}',
    "blank": b" ",
}
"""`null` is not among them: to Go it is an empty request."""


async def ask(path: str, method: str, target: str, body: object = None, **more: object) -> Answer:
    """A request from a thread, because the server runs in the test's own loop."""
    return await asyncio.to_thread(request, path, method, target, body, **more)  # type: ignore[arg-type]


async def made(path: str) -> str:
    """A running container `a`, and an exec session on it; gives the session's id."""
    await ask(path, "POST", "/containers/create?name=a", {"Image": "busybox"})
    await ask(path, "POST", "/containers/a/start")
    return str((await ask(path, "POST", "/containers/a/exec", {"Cmd": ["true"]})).json["Id"])


@pytest.mark.parametrize("taker", BODY_TAKERS)
async def test_bodies_that_are_not_json(taker: str) -> None:
    """Each of them is a 400 with a sentence, at each endpoint that takes a body."""
    async with served(FakeEngine()) as path:
        target = taker.replace("{exec}", await made(path))
        for what, body in NOT_JSON.items():
            if what == "nul" and "start" in target:
                continue  # A start has no text field that could hold one.
            headers = {"Content-Type": "application/json"}
            answer = await ask(path, "POST", target, body, headers=headers)
            assert answer.status == 400, what
            assert answer.message, what
            assert "\n" not in answer.message, what


async def test_mutated_creation_bodies() -> None:
    """Every field with every wrong kind of value is refused or means nothing."""
    whole = {
        "Hostname": "h", "User": "u", "Tty": True, "Env": ["a=b"], "Cmd": ["c"],
        "Image": "busybox",
        "Entrypoint": ["e"], "WorkingDir": "/", "Labels": {"a": "b"}, "StopSignal": "TERM",
        "StopTimeout": 1, "ExposedPorts": {"80/tcp": {}}, "Volumes": {}, "Healthcheck": {},
    }  # fmt: skip
    host = {
        "Binds": ["/a:/b"], "Memory": 1, "NanoCpus": 1, "PortBindings": {"80/tcp": [{}]},
        "CapAdd": ["x"], "Ulimits": [{}], "Mounts": [{}], "LogConfig": {}, "Tmpfs": {"/a": ""},
        "RestartPolicy": {}, "NetworkMode": "host", "SecurityOpt": [], "ConsoleSize": [1, 1],
        "PidsLimit": 1, "Init": True, "Sysctls": {}, "ShmSize": 1, "ExtraHosts": ["a:1.1.1.1"],
    }  # fmt: skip
    wrong: list[object] = [
        None, True, 5, -5, 1.5, 2**63, 2**70, "", "x", "a\nb", "\u0665", [], [None], [5], ["x"],
        [[]], [{}], {}, {"x": None}, {"x": 5}, {"": ""}, {"x": {"y": []}}, {"x": ["y"]},
    ]  # fmt: skip
    async with served(FakeEngine()) as path:
        statuses = set()
        for value in wrong:
            for field in whole:
                body = {**whole, field: value, "HostConfig": {"NetworkMode": "none"}}
                statuses.add((await ask(path, "POST", "/containers/create", body)).status)
            for field in host:
                body = {"Image": "busybox", "HostConfig": {field: value}}
                statuses.add((await ask(path, "POST", "/containers/create", body)).status)
        assert statuses <= {201, 400, 404, 501}


@pytest.mark.parametrize(
    ("content_type", "message"),
    [
        ("text/plain", "unsupported Content-Type header (text/plain): must be 'application/json'"),
        ("json", "malformed Content-Type header (json): mime: expected slash after first token"),
        ("", "malformed Content-Type header (): mime: no media type"),
    ],
)
async def test_content_types(content_type: str, message: str) -> None:
    """A body must be called JSON."""
    async with served(FakeEngine()) as path:
        headers = {"Content-Type": content_type} if content_type else {}
        answer = await ask(path, "POST", "/containers/create", b'{"Image":"a"}', headers=headers)
        assert (answer.status, answer.message) == (400, message)


async def test_a_content_type_with_parameters() -> None:
    """A charset is no reason to refuse."""
    async with served(FakeEngine()) as path:
        headers = {"Content-Type": "Application/JSON; charset=utf-8"}
        body = b'{"Image":"busybox"}'
        answer = await ask(path, "POST", "/containers/create", body, headers=headers)
        assert answer.status == 201


async def test_an_empty_body() -> None:
    """Docker's sentence for a creation request without a body."""
    async with served(FakeEngine()) as path:
        answer = await ask(path, "POST", "/containers/create")
        assert answer.status == 400
        assert answer.message == "config cannot be empty in order to create a container"


async def test_a_body_beyond_the_limit() -> None:
    """A JSON body of more than 4 MiB is refused without being kept."""
    async with served(FakeEngine()) as path:
        body = b'{"Image":"' + b"x" * LARGEST_BODY + b'"}'
        headers = {"Content-Type": "application/json"}
        answer = await ask(path, "POST", "/containers/create", body, headers=headers)
        assert answer.status == 413


# -- versions --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("prefix", "status"),
    [
        ("/v0.1", 400),
        ("/v1", 400),
        ("/v1.23", 400),
        ("/v1.24", 200),
        ("/v1.41", 200),
        ("/v1.41.1", 200),
        ("/v1.51", 200),
        ("/v1.52", 400),
        ("/v1.99", 400),
        ("/vlatest", 404),
        ("", 200),
    ],
)
async def test_versions(prefix: str, status: int) -> None:
    """From 1.24 to 1.51 and without any."""
    async with served(FakeEngine()) as path:
        answer = await ask(path, "GET", f"{prefix}/containers/json")
        assert answer.status == status
        if status != 200:
            assert answer.message


# -- names -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["..", "../../etc/passwd", "\x00", "a\x00b", "//", "/etc", "é", "\u202eabc", "x" * 300, "-x",
     "a\n", "%2e%2e", "a b", "?", "#", "*"],
)  # fmt: skip
async def test_names_that_are_none(name: str) -> None:
    """In the path and in the query: 400 or 404, with a sentence."""
    async with served(FakeEngine()) as path:
        for method, target in (
            ("GET", "/containers/{}/json"),
            ("POST", "/containers/{}/start"),
            ("DELETE", "/containers/{}"),
            ("GET", "/images/{}/json"),
            ("GET", "/networks/{}"),
            ("GET", "/exec/{}/json"),
        ):
            answer = await ask(path, method, target.format(quote(name, safe="")))
            assert answer.status in (400, 404)
            assert answer.message


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("POST /containers/a/stop?t=x", 'strconv.Atoi: parsing "x": invalid syntax'),
        ("POST /containers/a/stop?t=1_0", 'strconv.Atoi: parsing "1_0": invalid syntax'),
        ("POST /containers/a/resize?h=-1&w=1", 'strconv.ParseUint: parsing "-1": invalid syntax'),
        ("POST /containers/a/resize?h=70000&w=1",
         'strconv.ParseUint: parsing "70000": value out of range'),
        ("POST /containers/a/resize", 'strconv.ParseUint: parsing "": invalid syntax'),
        ("POST /containers/a/wait?condition=x", 'invalid condition: "x"'),
        ("POST /containers/a/rename", "Neither old nor new names may be empty"),
        ("GET /containers/a/logs", "Bad parameters: you must choose at least one stream"),
        ("GET /containers/a/logs?stdout=1&since=x",
         "invalid value for \"since\": 'x' is not a time"),
        ("GET /containers/json?filters={bad", "invalid filter"),
        ("GET /containers/json?limit=x", 'strconv.Atoi: parsing "x": invalid syntax'),
        ("GET /events?since=x", "invalid value for \"since\": 'x' is not a time"),
        ("GET /volumes?filters={%22x%22:[%22y%22]}", "invalid filter 'x'"),
        (
            "GET /wherry/containers/a/explain?format=x",
            "invalid format 'x': must be text, json or shell",
        ),
        ("POST /wherry/images/bootstrap", "invalid reference '': must name an image"),
        ("POST /images/create", "neither fromImage nor fromSrc was given"),
        ("GET /images/get", "no image to save was named"),
        ("GET /containers/a/top?ps_args=%00",
         'invalid value for "ps_args": it contains a NUL byte'),
    ],
)  # fmt: skip
async def test_query_parameters(target: str, message: str) -> None:
    """Numbers, times, conditions: 400, and the sentence names the value."""
    async with served(FakeEngine()) as path:
        await made(path)
        method, _, where = target.partition(" ")
        answer = await ask(path, method, where)
        assert (answer.status, answer.message) == (400, message)


# -- HTTP itself -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "octets",
    [
        b"nonsense\r\n\r\n",
        b"GET /_ping HTTP/9.9\r\n\r\n",
        b"GET /" + b"a" * 1_000_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /_ping HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 100_000 + b"\r\n\r\n",
        b"GET /_ping HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 10_000 + b"\r\n",
        b"POST /containers/create HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n"
        b"Content-Length: 3\r\n\r\n{}",
        b"POST /containers/create HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET /a\x00b HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /containers/a/attach HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
    ids=range(10),
)
async def test_broken_requests(octets: bytes) -> None:
    """Refused and closed; the next client is served."""
    async with served(FakeEngine()) as path:
        received = await asyncio.to_thread(_exchange_or_reset, path, octets)
        assert b" 500 " not in received.split(b"\r\n")[0]
        assert received == b"" or received[9:10] == b"4"
        assert (await ask(path, "GET", "/_ping")).status == 200


@pytest.mark.parametrize(
    "beginning",
    [b"", b"G", b"GET /_ping HTTP/1.1\r\nHost: x\r\n", b"POST /containers/a/attach HTTP/1.1\r\nX:",
     b"GET /_ping HTTP/1.1\r\nHost: x\r\n\r\n"],
    ids=range(5),
)  # fmt: skip
async def test_idle_connections_are_closed(beginning: bytes) -> None:
    """Who sends nothing, half a head, or no second request, doesn't keep the connection."""
    async with served(FakeEngine(), idle_timeout_s=0.05) as path:
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(beginning)
        async with asyncio.timeout(5):
            received = await reader.read()
        assert received.startswith(b"HTTP/1.1 200") or received == b""
        writer.close()


async def test_a_client_may_wait_to_be_asked_for_its_body() -> None:
    """`Expect: 100-continue` is answered before the body is read, not before it is wanted."""
    engine = FakeEngine()
    async with served(engine) as path:
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(
            b"POST /images/load HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n"
            b"Expect: 100-continue\r\n\r\n"
        )
        async with asyncio.timeout(5):
            assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
            writer.write(b"tar")
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 OK\r\n")
        assert engine.uploaded == b"tar"
        writer.close()


def _exchange_or_reset(path: str, octets: bytes) -> bytes:
    try:
        return exchange(path, octets)
    except ConnectionError:
        return b""


@pytest.mark.parametrize(
    ("method", "target"),
    [("GET", "/nowhere"), ("GET", "/"), ("POST", "/_ping"), ("GET", "//containers/json"),
     ("PATCH", "/containers/json"), ("GET", "/v1.41"), ("GET", "/v1.41/nowhere")],
)  # fmt: skip
async def test_no_such_page(method: str, target: str) -> None:
    """Docker's answer to a path or method that it does not have."""
    async with served(FakeEngine()) as path:
        answer = await ask(path, method, target)
        assert (answer.status, answer.json) == (404, {"message": "page not found"})


# -- failures of our own ---------------------------------------------------------------------


async def test_an_unexpected_exception_is_a_500(caplog: pytest.LogCaptureFixture) -> None:
    """It is told and logged, and the server goes on."""
    engine = FakeEngine(fails=ZeroDivisionError("no"))
    async with served(engine) as path:
        answer = await ask(path, "POST", "/containers/create", {"Image": "busybox"})
        assert (answer.status, answer.message) == (500, "ZeroDivisionError: no")
        assert "request.failed" in caplog.text
        assert (await ask(path, "GET", "/_ping")).status == 200


async def test_a_failed_step_is_a_500_with_its_cause() -> None:
    """What broke is named."""
    engine = FakeEngine(fails=StepFailed("mount /x", "EIO"))
    async with served(engine) as path:
        answer = await ask(path, "POST", "/containers/create", {"Image": "busybox"})
        assert (answer.status, answer.message) == (500, "mount /x: EIO")


async def test_a_failure_in_a_stream_is_a_message() -> None:
    """An answer that has begun ends with the reason."""
    engine = FakeEngine(progress=[Progress(status="working")], fails=StepFailed("unpack", "EIO"))
    async with served(engine) as path:
        answer = await ask(path, "POST", "/wherry/images/bootstrap?reference=x")
        assert answer.status == 200
        assert answer.lines == [
            {"status": "working"},
            {"errorDetail": {"message": "unpack: EIO"}, "error": "unpack: EIO"},
        ]


async def test_a_failure_before_a_stream_is_a_status() -> None:
    """An answer that has not begun is an error like any other."""
    async with served(FakeEngine(fails=StepFailed("unpack", "EIO"))) as path:
        answer = await ask(path, "POST", "/wherry/images/bootstrap?reference=x")
        assert (answer.status, json.loads(answer.body)) == (500, {"message": "unpack: EIO"})
