"""What a container says is kept, and read back as it was said."""

import json
import re
import subprocess
import time
from datetime import datetime, timezone
from pathlib import Path

import pytest

from support.daemon import Engine
from support.waiting import wait_until


def test_both_streams_are_kept(engine: Engine) -> None:
    """`docker logs` gives standard output and error, each to its own stream."""
    engine.docker("run", "--name", "both", "busybox", "sh", "-c", "echo out; echo err >&2")
    ran = engine.docker("logs", "both")
    assert (ran.stdout, ran.stderr) == ("out\n", "err\n")


def test_tail_since_and_timestamps(engine: Engine) -> None:
    """`--tail`, `--since`, `--until` and `--timestamps` choose and decorate lines."""
    script = "for n in 1 2 3; do echo early $n; done; sleep 1.2; echo late"
    engine.docker("run", "--name", "lines", "busybox", "sh", "-c", script)
    assert engine.docker_ok("logs", "--tail", "2", "lines").splitlines() == ["early 3", "late"]
    assert engine.docker_ok("logs", "--tail", "0", "lines") == ""
    stamped = engine.docker_ok("logs", "-t", "lines").splitlines()
    assert all(re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z ", each) for each in stamped)
    late = stamped[-1].split()[0]
    assert engine.docker_ok("logs", "--since", late, "lines") == "late"
    assert "late" not in engine.docker_ok("logs", "--until", stamped[0].split()[0], "lines")


def test_a_long_line_comes_back_whole(engine: Engine) -> None:
    """Lines over 16 KiB are kept in pieces and joined again."""
    script = "head -c 100000 /dev/zero | tr '\\0' x; echo; echo end"
    engine.docker("run", "--name", "long", "busybox", "sh", "-c", script)
    lines = engine.docker_ok("logs", "long").splitlines()
    assert [len(line) for line in lines] == [100_000, 3]


def test_follow_until_the_end(engine: Engine) -> None:
    """`logs -f` shows each line as it comes and ends with the container."""
    script = "for n in $(seq 1 30); do echo line $n; sleep 0.02; done"
    container = engine.docker_ok("run", "-d", "busybox", "sh", "-c", script)
    followed = engine.docker_ok("logs", "-f", container)
    assert followed.splitlines() == [f"line {n}" for n in range(1, 31)]


@pytest.mark.stock_differs
def test_follow_through_rotation(engine: Engine) -> None:
    """A follower sees every line once, in order, while files are rotated under it."""
    count = 6000
    script = f"sleep 0.5; for n in $(seq 1 {count}); do echo line number $n of many; done"
    options = ("--log-opt", "max-size=100k", "--log-opt", "max-file=20")
    container = engine.docker_ok("run", "-d", *options, "busybox", "sh", "-c", script)
    followed = engine.docker_ok("logs", "-f", container)
    assert followed.splitlines() == [f"line number {n} of many" for n in range(1, count + 1)]


def test_rotation_bounds_the_disk(engine: Engine) -> None:
    """With `max-size` and `max-file` no more than their product is kept."""
    script = "for n in $(seq 1 4000); do echo line number $n of many; done"
    options = ("--log-opt", "max-size=50k", "--log-opt", "max-file=3")
    engine.docker("run", "--name", "bounded", *options, "busybox", "sh", "-c", script)
    path = Path(engine.inspect("bounded")["LogPath"])
    sizes = [each.stat().st_size for each in path.parent.glob(f"{path.name}*")]
    assert len(sizes) == 3
    assert max(sizes) <= 51_000
    assert engine.docker_ok("logs", "--tail", "1", "bounded") == "line number 4000 of many"


def test_the_file_is_dockers(engine: Engine) -> None:
    """The log file has one JSON document a line, as log shippers expect it."""
    engine.docker("run", "--name", "file", "busybox", "sh", "-c", "echo a; printf b >&2")
    lines = Path(engine.inspect("file")["LogPath"]).read_text().splitlines()
    documents = [json.loads(line) for line in lines]
    assert {(each["stream"], each["log"]) for each in documents} == {
        ("stdout", "a\n"),
        ("stderr", "b"),
    }
    moment = datetime.fromisoformat(documents[0]["time"][:19]).replace(tzinfo=timezone.utc)
    assert abs(moment.timestamp() - time.time()) < 60


def test_no_log_no_lines(engine: Engine) -> None:
    """`--log-driver none` keeps nothing and says so."""
    engine.docker("run", "--name", "quiet", "--log-driver", "none", "busybox", "echo", "x")
    refused = engine.docker("logs", "quiet")
    assert refused.returncode == 1
    assert "configured logging driver does not support reading" in refused.stderr


def test_a_stalled_reader_stalls_nobody(engine: Engine) -> None:
    """A client that reads nothing does not slow the container down."""
    script = "n=0; while [ $n -lt 40000 ]; do echo number $n; n=$((n+1)); done; echo done > /end"
    container = engine.create("sh", "-c", script)
    with subprocess.Popen(
        ["docker", "start", "-a", container], env=engine.environment, stdout=subprocess.PIPE
    ) as stalled:
        wait_until(
            "it runs to its end",
            lambda: engine.inspect(container)["State"]["Status"] == "exited",
            within_s=30,
        )
        stalled.kill()
    assert engine.docker_ok("logs", "--tail", "1", container) == "number 39999"


@pytest.mark.parametrize("tail", ["-1", "x", "1_0"])
def test_odd_tails_mean_all(engine: Engine, tail: str) -> None:
    """A tail that is no number means all lines, as in Docker."""
    engine.docker("run", "--name", "odd", "busybox", "sh", "-c", "echo 1; echo 2")
    answer = engine.api("GET", f"/containers/odd/logs?stdout=1&tail={tail}")
    assert answer.status == 200
    assert answer.body.count(b"\n") == 2


def test_a_stream_must_be_chosen(engine: Engine) -> None:
    """Neither stdout nor stderr: refused."""
    container = engine.create("true")
    answer = engine.api("GET", f"/containers/{container}/logs")
    assert answer.status == 400
    assert "you must choose at least one stream" in answer.message.lower()
