"""BuildKit's door, message by message, with a builder that makes nothing behind it."""

import asyncio
import random
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import pytest
from grpclib.const import Status
from grpclib.exceptions import GRPCError
from grpclib.server import Stream

from support.build_session import Raw, caller, session, upgraded
from support.fake_engine import FakeEngine, served
from wherry.wire.buildkit import control, gateway, sessions
from wherry.wire.buildkit.errors import RpcStatus
from wherry.wire.buildkit.files import DATA, ERR, FIN, REQ, STAT, Packet, Stat
from wherry.wire.protobuf import Message, encode

CONTROL = "/moby.buildkit.v1.Control"
BRIDGE = "/moby.buildkit.v1.frontend.LLBBridge"
PATIENCE_S = 10


async def send_dockerfile(stream: Stream[Packet, Packet], _: Mapping[str, str]) -> None:
    """What an honest client does."""
    await stream.send_message(Packet(type=STAT, stat=Stat(path="Dockerfile", mode=0o644, size=1)))
    await stream.send_message(Packet(type=STAT))
    assert (await stream.recv_message()) == Packet(type=FIN)
    await stream.send_message(Packet(type=FIN))


def solve(ref: str = "r", **more: object) -> control.SolveRequest:
    """A build of a Dockerfile."""
    exporter = control.Exporter(Type="image", Attrs={"name": "one"})
    fields = {"Frontend": "dockerfile.v0", "Session": "s", "Exporters": [exporter], **more}
    return control.SolveRequest(Ref=ref, **fields)


async def refusal(asking: "asyncio.Future[Message]") -> GRPCError:
    """How a call is refused."""
    with pytest.raises(GRPCError) as refused:
        async with asyncio.timeout(PATIENCE_S):
            await asking
    return refused.value


async def test_a_build_by_a_frontend() -> None:
    """The client tells of its files; the answer has the digest, the status tells the story."""
    engine = FakeEngine()
    async with served(engine) as path, session(path, "s", send_dockerfile), caller(path) as calls:
        listening = asyncio.create_task(
            calls.listen(
                f"{CONTROL}/Status", control.StatusRequest(Ref="r"), control.StatusResponse
            )
        )
        answer = await calls.ask(f"{CONTROL}/Solve", solve(), control.SolveResponse)
        assert answer.ExporterResponse["containerimage.config.digest"] == "sha256:" + "e" * 64
        told = [vertex for each in await listening for vertex in each.vertexes]
    assert engine.builds.sent == ["Dockerfile"]
    assert told[0].name == "[internal] load build definition from Dockerfile"
    assert told[0].started is None
    assert any(each.completed and each.digest == told[0].digest for each in told)


async def test_a_build_that_its_client_steers() -> None:
    """Solve waits; the gateway solves; what is returned ends it, once."""
    engine = FakeEngine()
    async with served(engine) as path, session(path, "s", send_dockerfile), caller(path) as calls:
        solving = asyncio.create_task(
            calls.ask(f"{CONTROL}/Solve", solve(Frontend=""), control.SolveResponse)
        )
        named = {"buildkit_controlapi_buildid": "r"}
        pong = await calls.ask(
            f"{BRIDGE}/Ping", gateway.PingRequest(), gateway.PongResponse, **named
        )
        assert {"solve.base", "readfile"} <= {each.ID for each in pong.FrontendAPICaps}
        request = gateway.SolveRequest(Frontend="dockerfile.v0", FrontendOpt={"target": "x"})
        result = await calls.ask(f"{BRIDGE}/Solve", request, gateway.SolveResponse, **named)
        assert result.result.ref.id
        assert not solving.done()
        back = gateway.ReturnRequest(result=result.result)
        await calls.ask(f"{BRIDGE}/Return", back, gateway.ReturnResponse, **named)
        assert (await solving).ExporterResponse["image.name"] == "docker.io/library/one:latest"


async def test_a_client_looks_into_its_result(tmp_path: Path) -> None:
    """At files, directories and links, and never outside; and at images that it names."""
    (tmp_path / "d").mkdir()
    (tmp_path / "d/file.txt").write_text("content")
    (tmp_path / "out").symlink_to("/etc/passwd")
    engine = FakeEngine()
    engine.builds.files = str(tmp_path)
    named = {"buildkit_controlapi_buildid": "r"}
    async with served(engine) as path, session(path, "s", send_dockerfile), caller(path) as calls:
        solving = asyncio.ensure_future(
            calls.ask(f"{CONTROL}/Solve", solve(Frontend=""), control.SolveResponse)
        )
        request = gateway.SolveRequest(Frontend="dockerfile.v0")
        solved = await calls.ask(f"{BRIDGE}/Solve", request, gateway.SolveResponse, **named)
        ref = solved.result.ref.id

        async def read(file: str, **part: int) -> Message:
            asked = gateway.ReadFileRequest(
                Ref=ref, FilePath=file, Range=gateway.FileRange(**part) if part else None
            )
            return await calls.ask(f"{BRIDGE}/ReadFile", asked, gateway.ReadFileResponse, **named)

        assert (await read("d/file.txt")).Data == b"content"
        assert (await read("/d/file.txt", Offset=3, Length=2)).Data == b"te"
        for missing in ("out", "../../etc/passwd", "nowhere"):
            refused = await refusal(read(missing))
            assert refused.message == f"open {missing}: no such file or directory"
        listing = gateway.ReadDirRequest(Ref=ref, DirPath="/", IncludePattern="d*")
        listed = await calls.ask(f"{BRIDGE}/ReadDir", listing, gateway.ReadDirResponse, **named)
        assert [each.path for each in listed.entries] == ["d"]
        asked = gateway.StatFileRequest(Ref=ref, Path="out")
        found = await calls.ask(f"{BRIDGE}/StatFile", asked, gateway.StatFileResponse, **named)
        assert found.stat.linkname == "/etc/passwd"
        image = gateway.ResolveImageConfigRequest(Ref="busybox")
        resolved = await calls.ask(
            f"{BRIDGE}/ResolveImageConfig", image, gateway.ResolveImageConfigResponse, **named
        )
        assert (resolved.Digest, resolved.Config) == ("sha256:" + "c" * 64, b"{}")
        await calls.ask(
            f"{BRIDGE}/Return", gateway.ReturnRequest(), gateway.ReturnResponse, **named
        )
        await solving


async def test_what_a_client_returns_as_an_error_is_the_answer() -> None:
    """With its status, its text and its details."""
    async with (
        served(FakeEngine()) as path,
        session(path, "s", send_dockerfile),
        caller(path) as calls,
    ):
        asking = asyncio.ensure_future(
            calls.ask(f"{CONTROL}/Solve", solve(Frontend=""), control.SolveResponse)
        )
        back = gateway.ReturnRequest(error=RpcStatus(code=5, message="nothing"))
        named = {"buildkit_controlapi_buildid": "r"}
        await calls.ask(f"{BRIDGE}/Return", back, gateway.ReturnResponse, **named)
        refused = await refusal(asking)
    assert (refused.status, refused.message) == (Status.NOT_FOUND, "nothing")


@pytest.mark.parametrize(
    ("request_", "status", "text"),
    [
        (solve(Definition=b"\x0a\x01x"), Status.UNIMPLEMENTED, "LLB definition"),
        (solve(Frontend="other.v0"), Status.UNIMPLEMENTED, "the frontend other.v0"),
        (solve(Exporters=[control.Exporter(Type="x")]), Status.UNKNOWN, 'exporter "x" could not'),
        (solve(FrontendAttrs={"ulimit": "a=b"}), Status.UNKNOWN, "invalid ulimit argument: a=b"),
        (solve(FrontendAttrs={"shm-size": "lots"}), Status.UNKNOWN, "could not parse shm-size"),
        (solve(FrontendAttrs={"add-hosts": "x"}), Status.UNKNOWN, "invalid key-value pair: x"),
        (
            solve(FrontendAttrs={"context:n": "input:base"}),
            Status.UNIMPLEMENTED,
            "the named context n of input:",
        ),
    ],
    ids=["definition", "frontend", "exporter", "ulimit", "size", "host", "input"],
)
async def test_what_is_refused_is_named(
    request_: control.SolveRequest, status: Status, text: str
) -> None:
    """Before anything is built."""
    engine = FakeEngine()
    async with served(engine) as path, session(path, "s", send_dockerfile), caller(path) as calls:
        refused = await refusal(calls.ask(f"{CONTROL}/Solve", request_, control.SolveResponse))
    assert refused.status is status
    assert text in (refused.message or "")
    assert not engine.builds.sent


async def test_methods_that_are_not_there_say_so() -> None:
    """In a way that Go's clients understand; health and traces are there."""
    async with served(FakeEngine()) as path, caller(path) as calls:
        health = await calls.ask(
            "/grpc.health.v1.Health/Check",
            sessions.HealthCheckRequest(),
            sessions.HealthCheckResponse,
        )
        assert health.status == 1
        traces = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
        await calls.ask(traces, sessions.TracesRequest(), sessions.TracesResponse)
        unknown = await refusal(calls.ask("/a.B/C", sessions.TracesRequest(), Message))
        assert (unknown.status, unknown.message) == (Status.UNIMPLEMENTED, "unknown method /a.B/C")


async def test_history() -> None:
    """Builds are remembered with their ends, pinned, and deleted."""
    path_of = f"{CONTROL}/ListenBuildHistory"
    async with (
        served(FakeEngine()) as path,
        session(path, "s", send_dockerfile),
        caller(path) as calls,
    ):
        await calls.ask(f"{CONTROL}/Solve", solve("good"), control.SolveResponse)
        await refusal(
            calls.ask(f"{CONTROL}/Solve", solve("bad", Frontend="x"), control.SolveResponse)
        )
        await calls.ask(f"{CONTROL}/Solve", solve("own", Internal=True), control.SolveResponse)
        all_ = control.BuildHistoryRequest(EarlyExit=True)
        events = await calls.listen(path_of, all_, control.BuildHistoryEvent)
        assert [(each.type, each.record.Ref) for each in events] == [(1, "good"), (1, "bad")]
        assert events[0].record.error is None
        assert events[1].record.error.message.endswith("the frontend x")
        assert events[0].record.numTotalSteps == events[0].record.numCompletedSteps == 2
        update = control.UpdateBuildHistoryRequest(Ref="good", Delete=True)
        await calls.ask(
            f"{CONTROL}/UpdateBuildHistory", update, control.UpdateBuildHistoryResponse
        )
        events = await calls.listen(path_of, all_, control.BuildHistoryEvent)
        assert [each.record.Ref for each in events] == ["bad"]
        active = control.BuildHistoryRequest(ActiveOnly=True, EarlyExit=True)
        assert await calls.listen(path_of, active, control.BuildHistoryEvent) == []


# -- hostile clients -------------------------------------------------------------------------


async def _says_error(stream: Stream[Packet, Packet], _: Mapping[str, str]) -> None:
    await stream.send_message(Packet(type=ERR, data=b"disk on fire"))


async def _out_of_turn(stream: Stream[Packet, Packet], _: Mapping[str, str]) -> None:
    await stream.send_message(Packet(type=DATA, ID=0, data=b"x"))


async def _asks_itself(stream: Stream[Packet, Packet], _: Mapping[str, str]) -> None:
    await stream.send_message(Packet(type=REQ, ID=0))


async def _ends_early(stream: Stream[Packet, Packet], _: Mapping[str, str]) -> None:
    await stream.send_message(Packet(type=STAT, stat=Stat(path="Dockerfile")))


@pytest.mark.parametrize(
    ("sender", "text"),
    [
        (_says_error, "disk on fire"),
        (_out_of_turn, "a packet of type 2 out of turn"),
        (_asks_itself, "a packet of type 1 out of turn"),
        (_ends_early, "ended its transfer too early"),
    ],
)
async def test_clients_that_break_the_protocol_are_refused(sender: object, text: str) -> None:
    """Their build fails with a sentence; the engine goes on."""
    async with served(FakeEngine()) as path, session(path, "s", sender), caller(path) as calls:
        refused = await refusal(calls.ask(f"{CONTROL}/Solve", solve(), control.SolveResponse))
        assert text in (refused.message or "")
        assert await calls.ask(f"{CONTROL}/Info", control.InfoRequest(), control.InfoResponse)


async def test_mutated_requests_are_refused() -> None:
    """Whatever bytes come in the place of a request, the engine answers the next one."""
    chance = random.Random(7)
    whole = encode(solve(FrontendAttrs={"target": "x", "build-arg:a": "b"}))
    async with served(FakeEngine()) as path, caller(path) as calls:
        for _ in range(300):
            mutated = bytearray(whole)
            for _ in range(chance.randint(1, 8)):
                mutated[chance.randrange(len(mutated))] = chance.randrange(256)
            content = bytes(mutated[: chance.randint(1, len(mutated))])
            method = chance.choice(("Prune", "DiskUsage", "UpdateBuildHistory", "Info"))
            with suppress(GRPCError):
                await calls.ask(f"{CONTROL}/{method}", Raw(content=content), Message)
        assert await calls.ask(f"{CONTROL}/Info", control.InfoRequest(), control.InfoResponse)
        refused = await refusal(
            calls.ask(f"{CONTROL}/Solve", Raw(content=b"\x0a\x7f"), control.SolveResponse)
        )
        assert refused.status is Status.INVALID_ARGUMENT
        assert refused.message == "malformed message: field 1 is longer than its message"


async def test_messages_have_a_largest_size() -> None:
    """What a peer announces is not waited for, on either kind of connection."""

    async def announces(stream: Stream[Packet, Packet], _: Mapping[str, str]) -> None:
        await stream.send_initial_metadata()
        await stream._stream.send_data(b"\0\xff\xff\xff\xff")
        await stream.recv_message()

    async with served(FakeEngine()) as path, session(path, "s", announces), caller(path) as calls:
        refused = await refusal(calls.ask(f"{CONTROL}/Solve", solve(), control.SolveResponse))
        assert "a message of 4294967295 bytes, of 16777216 at most" in (refused.message or "")


async def test_a_session_that_is_lost_ends_its_build() -> None:
    """In the middle of a transfer that would never end."""
    asked = asyncio.Event()

    async def stall(stream: Stream[Packet, Packet], _: Mapping[str, str]) -> None:
        asked.set()
        await stream.recv_message()

    async with (
        served(FakeEngine()) as path,
        session(path, "s", stall) as transport,
        caller(path) as calls,
    ):
        asking = asyncio.ensure_future(
            calls.ask(f"{CONTROL}/Solve", solve(), control.SolveResponse)
        )
        async with asyncio.timeout(PATIENCE_S):
            await asked.wait()
        transport.abort()
        refused = await refusal(asking)
        assert refused.status is Status.CANCELLED
        again = await refusal(calls.ask(f"{BRIDGE}/Ping2", gateway.PingRequest(), Message))
        assert again.status is Status.UNIMPLEMENTED


async def test_what_is_no_http2_is_hung_up_on() -> None:
    """On either kind of connection, and whatever comes."""
    for target, headers in (("/grpc", {}), ("/session", {"X-Docker-Expose-Session-Uuid": "x"})):
        async with served(FakeEngine()) as path:
            client = await upgraded(path, target, headers)
            loop = asyncio.get_running_loop()
            await loop.sock_sendall(client, bytes(1000))
            async with asyncio.timeout(PATIENCE_S):
                while await loop.sock_recv(client, 1 << 16):
                    pass
            client.close()
