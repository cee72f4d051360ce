"""What crosses the channels and lies on disk: there and back, and nothing of another version."""

import json
from pathlib import Path

import pytest

from wherry.logs.options import LogTarget
from wherry.oci.runtime_spec import Process, RootfsMount
from wherry.shim.protocol import (
    EXEC_ORDER,
    SPAWN_ORDER,
    Ending,
    ExecOrder,
    Refused,
    SpawnOrder,
)
from wherry.shim.records import EndRecord, UnknownRecord, read_end, write_end

SPAWN = SpawnOrder(
    container_id="c" * 64,
    bundle="/bundle",
    record_directory="/records",
    rootfs=RootfsMount(
        type="overlay", directory="/layers", lower=("b", "a"), upper="up", work="work"
    ),
    user="me:us",
    group_add=("video",),
    seccomp_program="/filter.bpf",
    init_binary="/usr/bin/tini-static",
    log=LogTarget(path="/log", options={"max-size": "1m"}, attributes={"tag": "t"}),
    opens_stdin=True,
    closes_stdin_after_first=True,
)
EXEC = ExecOrder(
    session="e" * 64,
    process=Process(args=("sh", "-c", "true"), env=("A=b",), terminal=True),
    user=None,
    group_add=(),
    seccomp_program="",
    opens_stdin=True,
)


def test_orders_come_back_as_they_were() -> None:
    """Every field survives its way through JSON."""
    assert SPAWN_ORDER.from_json(json.loads(json.dumps(SPAWN_ORDER.to_json(SPAWN))), "") == SPAWN
    assert EXEC_ORDER.from_json(json.loads(json.dumps(EXEC_ORDER.to_json(EXEC))), "") == EXEC


def test_messages_are_whole() -> None:
    """An older shim misses no member, whatever it says."""
    sent = EXEC_ORDER.to_json(EXEC)
    assert sent["user"] is None
    assert {"session", "process", "group_add", "opens_stdin", "can_be_ended"} < sent.keys()


def test_refusals_come_back_as_they_were() -> None:
    """Kind, words and program survive."""
    refused = Refused.from_message(Refused("step", "no room", "sh").to_message())
    assert (refused.kind, refused.message, refused.program) == ("step", "no room", "sh")


def test_an_end_is_read_as_it_was_written(tmp_path: Path) -> None:
    """The record of a container and of its uncollected sessions."""
    record = EndRecord(
        container_id="c" * 64,
        pid=7,
        ending=Ending(exit_code=137, exited_at_ns=5, was_oom_killed=True, error="why"),
        sessions={"e": Ending(exit_code=0, exited_at_ns=4)},
    )
    write_end(str(tmp_path), record)
    assert read_end(str(tmp_path)) == record
    assert [path.name for path in tmp_path.iterdir()] == ["exit.json"]


def test_no_record_is_no_end(tmp_path: Path) -> None:
    """A container without a record has not ended."""
    assert read_end(str(tmp_path)) is None


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'{"version":2}', b'{"version":1}', b'{"version":1,"pid":1}']
)
def test_a_strange_record_is_refused(tmp_path: Path, content: bytes) -> None:
    """Torn, foreign and newer records are never guessed at."""
    (tmp_path / "exit.json").write_bytes(content)
    with pytest.raises(UnknownRecord):
        read_end(str(tmp_path))
