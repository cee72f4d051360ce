"""The builder's history: what was built is known after a restart, with all that was told of it."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from grpclib.exceptions import GRPCError

from support.build_session import Caller, caller
from support.buildx import BuildClient
from support.daemon import Engine
from wherry.wire.buildkit import control

CONTROL = "/moby.buildkit.v1.Control"


async def records(calls: Caller, *filters: str) -> list[control.BuildHistoryRecord]:
    """The builds that are remembered."""
    request = control.BuildHistoryRequest(EarlyExit=True, Filter=[*filters])
    events = await calls.listen(
        f"{CONTROL}/ListenBuildHistory", request, control.BuildHistoryEvent
    )
    found = [each.record for each in events if isinstance(each, control.BuildHistoryEvent)]
    return [each for each in found if each is not None]


async def told(calls: Caller, ref: str) -> str:
    """What a build's commands wrote."""
    answers = await calls.listen(
        f"{CONTROL}/Status", control.StatusRequest(Ref=ref), control.StatusResponse
    )
    logs = [
        log for each in answers if isinstance(each, control.StatusResponse) for log in each.logs
    ]
    return b"".join(log.msg for log in logs).decode()


async def update(calls: Caller, ref: str, **wishes: bool) -> None:
    """Keep a record, or forget it."""
    request = control.UpdateBuildHistoryRequest(Ref=ref, **wishes)
    await calls.ask(f"{CONTROL}/UpdateBuildHistory", request, control.UpdateBuildHistoryResponse)


async def test_builds_are_remembered_over_a_restart(fresh_engine: Engine, tmp_path: Path) -> None:
    """Good and bad ones, with their output; filters choose, pins stay, what is removed is gone."""
    engine = fresh_engine
    (tmp_path / "project").mkdir()
    client = BuildClient(engine, tmp_path / "project")
    client.write(Dockerfile="FROM busybox\nARG CODE\nRUN echo word of $CODE; exit $CODE\n")
    client.docker("buildx", "build", "--build-arg", "CODE=0", ".")
    client.docker("buildx", "build", "--build-arg", "CODE=7", ".", is_ok=False)
    engine.kill9()
    engine.start()
    async with caller(str(engine.socket)) as calls:
        good, bad = await records(calls)
        assert good.FrontendAttrs["build-arg:CODE"] == "0"
        assert good.numCompletedSteps == good.numTotalSteps
        assert good.CompletedAt is not None
        assert "exit code: 7" in (bad.error.message if bad.error else "")
        assert "word of 0" in await told(calls, good.Ref)
        assert "word of 7" in await told(calls, bad.Ref)
        for filters, found in _filters(good.Ref, bad.Ref):
            assert [each.Ref for each in await records(calls, *filters)] == found, filters
        with pytest.raises(GRPCError, match="failed to parse filter"):
            await records(calls, "colour")
        await update(calls, good.Ref, Pinned=True)
        await update(calls, bad.Ref, Delete=True)
    engine.restart()
    async with caller(str(engine.socket)) as calls:
        (kept,) = await records(calls)
        assert (kept.Ref, kept.pinned) == (good.Ref, True)


def _filters(good: str, bad: str) -> Sequence[tuple[tuple[str, ...], list[str]]]:
    return [
        (("status==completed",), [good]),
        (("status==error,startedAt>1h",), [bad]),
        (("status!=error", f"ref=={bad}"), [good, bad]),
        (("duration>1h",), []),
        (("completedAt<2020-01-01T00:00:00Z",), []),
    ]
