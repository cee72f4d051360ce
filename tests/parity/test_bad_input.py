"""Malformed values of every option: Docker's status and sentence, and nothing left behind.

The table of requests was made beside dockerd 20.10 and read line by line; where that one answers
500, or takes a value that it then fails on, the status and words are those of a newer Docker.
"""

import json
import os
import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.daemon import Engine
from support.http_over_unix import connect
from support.waiting import wait_until

TABLE = json.loads((Path(__file__).with_name("answers") / "bad-input.json").read_text())

pytestmark = pytest.mark.stock_differs


@pytest.fixture(scope="module")
def bystander(shared_engine: Engine, clean_census: None) -> Iterator[Engine]:
    """An engine where `cc` runs and `dd` was never started."""
    shared_engine.docker_ok("run", "-d", "-i", "--name", "cc", "busybox", "cat")
    shared_engine.docker_ok("create", "--name", "dd", "busybox", "true")
    yield shared_engine
    shared_engine.remove_all_containers()


def test_the_table_is_long_enough() -> None:
    """At least 150 requests, no two the same."""
    assert len({json.dumps(case[:3]) for case in TABLE}) == len(TABLE) >= 150


@pytest.mark.parametrize("case", TABLE, ids=lambda case: f"{case[1]}-{json.dumps(case[2])[:60]}")
def test_requests(bystander: Engine, case: list[object]) -> None:
    """One malformed value: its status, its sentence, and no container more than before."""
    method, target, body, status, message = case
    sent = body.encode() if isinstance(body, str) else body
    answer = bystander.api(str(method), str(target), sent)
    told = answer.message if answer.body else ""
    assert (answer.status, masked(told)) == (status, message)
    names = {each["Names"][0] for each in bystander.api("GET", "/containers/json?all=1").json}
    assert names == {"/cc", "/dd"}


def masked(message: str) -> str:
    """A sentence without the ids and the processors of one run."""
    cpus = os.cpu_count()
    message = re.sub(r"[0-9a-f]{64}", "<ID>", message)
    message = re.sub(
        r"container [0-9a-f]{12} is using its referenced image [0-9a-f]{12}",
        "container <ID> is using its referenced image <ID>",
        message,
    )
    message = message.replace(
        f"{cpus}.00, as there are only {cpus} CPUs", "<CPUS>.00, as there are only <CPUS> CPUs"
    )
    return re.sub(r"available: [0-9,-]+$", "available: <LIST>", message.strip())


DAEMON = "Error response from daemon: "


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("run", "--name", "a", "busybox"), 125, f"{DAEMON}Invalid container name (a), only "),
        (("run", "--name", "cc", "busybox"), 125, f'{DAEMON}Conflict. The container name "/cc"'),
        (("run", "-m", "1m", "busybox"), 125, f"{DAEMON}Minimum memory limit allowed is 6MB"),
        (("run", "--cpus", "900", "busybox"), 125, f"{DAEMON}range of CPUs is from 0.01 to "),
        (("run", "--cpuset-cpus", "99", "busybox"), 125, "Requested CPUs are not available"),
        (("run", "--pid", "bogus", "busybox"), 125, "--pid: invalid PID mode"),
        (("run", "--uts", "bogus", "busybox"), 125, "--uts: invalid UTS mode"),
        (("run", "--ipc", "bogus", "busybox"), 125, f"{DAEMON}invalid IPC mode: bogus"),
        (("run", "--ipc", "container:zz", "busybox"), 125, f"{DAEMON}No such container: zz"),
        (("run", "--cgroupns", "bogus", "busybox"), 125, "--cgroupns: invalid CGROUP mode"),
        (("run", "--userns", "bogus", "busybox"), 125, "--userns: invalid USER mode"),
        (("run", "--runtime", "bogus", "busybox"), 125, "unknown or invalid runtime name: bogus"),
        (("run", "--restart", "bogus", "busybox"), 125, f"{DAEMON}invalid restart policy: "),
        (("run", "--rm", "--restart", "always", "busybox"), 125, "conflicting options: cannot"),
        (("run", "--cap-add", "bogus", "busybox"), 125, 'invalid CapAdd: unknown capability: "C'),
        (("run", "--security-opt", "bogus", "busybox"), 125, 'Invalid --security-opt: "bogus"'),
        (("run", "--log-driver", "bogus", "busybox"), 125, "no log driver named 'bogus'"),
        (("run", "--log-opt", "bogus=1", "busybox"), 125, "unknown log opt 'bogus' for json-file"),
        (("run", "--sysctl", "kernel.bogus=1", "busybox"), 125, "sysctl 'kernel.bogus=1' is not"),
        (("run", "--ulimit", "bogus=1", "busybox"), 125, "invalid ulimit type: bogus"),
        (("run", "--ulimit", "nofile=5:1", "busybox"), 125, "ulimit soft limit must be less"),
        (("run", "--shm-size", "-1", "busybox"), 125, "invalid size: '-1'"),
        (("run", "-v", "a:b:c:d", "busybox"), 125, "invalid volume specification: 'a:b:c:d'"),
        (("run", "-v", "/a:/b:zz", "busybox"), 125, "invalid mode: zz"),
        (("run", "--mount", "type=bogus,target=/x", "busybox"), 125, "mount type unknown"),
        (("run", "--mount", "type=bind,source=/nope,target=/x", "busybox"), 125,
         "bind source path does not exist: /nope"),
        (("run", "--mount", "target=x,source=y", "busybox"), 125, "mount path must be absolute"),
        (("run", "--tmpfs", "x", "busybox"), 125, "mount path must be absolute"),
        (("run", "-p", "x", "busybox"), 125, "invalid containerPort: x"),
        (("run", "-p", "1:2:3:4", "busybox"), 125, "invalid IP address: 1:2"),
        (("run", "-p", "80/bogus", "busybox"), 125, "invalid proto: bogus"),
        (("run", "--dns", "x", "busybox"), 125, "IP address is not correctly formatted: x"),
        (("run", "--add-host", "x", "busybox"), 125, 'bad format for add-host: "x"'),
        (("run", "--add-host", "x:y", "busybox"), 125, 'invalid IP address in add-host: "y"'),
        (("run", "--network", "ghost", "busybox"), 125,
         f"{DAEMON}failed to set up container networking: network ghost not found"),
        (("run", "--network", "container:zz", "busybox"), 125, f"{DAEMON}No such container: zz"),
        (("run", "--stop-signal", "NONE", "busybox"), 125, f"{DAEMON}invalid signal: NONE"),
        (("run", "-w", "rel", "busybox"), 125, "the working directory 'rel' is invalid"),
        (("run", "-u", "ghost", "busybox"), 125, "unable to find user ghost: no matching entries"),
        (("run", "--platform", "bogus", "busybox"), 125, '"bogus": unknown operating system or'),
        (("run", "UPPER"), 125, "invalid reference format: repository name (library/UPPER) must"),
        (("run", "--health-interval", "1ns", "--health-cmd", "x", "busybox"), 125,
         "Interval in Healthcheck cannot be less than 1ms"),
        (("run", "--device", "/dev/nope", "busybox"), 127, 'custom device "/dev/nope": no such'),
        (("kill", "-s", "BOGUS", "cc"), 1, f"{DAEMON}invalid signal: BOGUS"),
        (("kill", "dd"), 1, f"{DAEMON}cannot kill container: dd: container "),
        (("kill", "zz"), 1, f"{DAEMON}cannot kill container: zz: No such container: zz"),
        (("rename", "cc", "dd"), 1, f"{DAEMON}Error when allocating new name: Conflict. The con"),
        (("rename", "cc", "a b"), 1, "Error when allocating new name: Invalid container name (/a"),
        (("rename", "cc", "cc"), 1, "Renaming a container with the same name as its current name"),
        (("top", "dd"), 1, f"{DAEMON}container "),
        (("top", "cc", "-o", "comm"), 1, f"{DAEMON}Couldn't find PID field in ps output"),
        (("exec", "dd", "true"), 1, " is not running"),
        (("exec", "zz", "true"), 1, f"{DAEMON}No such container: zz"),
        (("unpause", "cc"), 1, " is not paused"),
        (("rm", "cc"), 1, 'cannot remove container "/cc": container is running: stop the contain'),
        (("inspect", "zz"), 1, "Error: No such object: zz"),
        (("inspect", "--type", "volume", "zz"), 1, "get zz: no such volume"),
        (("inspect", "--type", "network", "zz"), 1, "network zz not found"),
        (("image", "inspect", "zz"), 1, "No such image: zz:latest"),
        (("rmi", "zz"), 1, f"{DAEMON}No such image: zz:latest"),
        (("tag", "busybox", "UPPER"), 1, "repository name (library/UPPER) must be lowercase"),
        (("save", "zz"), 1, f"{DAEMON}No such image: zz:latest"),
        (("volume", "create", "a b"), 1, 'includes invalid characters for a local volume name'),
        (("volume", "rm", "zz"), 1, f"{DAEMON}get zz: no such volume"),
        (("network", "inspect", "zz"), 1, f"{DAEMON}network zz not found"),
        (("logs", "--since", "x", "cc"), 1, 'invalid value for "since"'),
        (("ps", "-f", "bogus=1"), 1, f"{DAEMON}invalid filter 'bogus'"),
        (("images", "-f", "dangling=maybe"), 1, "invalid filter 'dangling=[maybe]'"),
        (("container", "prune", "-f", "--filter", "until=x"), 1, "invalid value for 'until' filt"),
        (("system", "df", "--format", "{{.Nope}}"), 1, "can't evaluate field Nope"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)  # fmt: skip
def test_command_lines(
    bystander: Engine, arguments: tuple[str, ...], code: int, words: str
) -> None:
    """What the stock client prints of a malformed option, and its exit code."""
    ran = bystander.docker(*arguments)
    assert (ran.returncode, words in ran.stderr) == (code, True), ran.stderr
    for each in bystander.api("GET", "/containers/json?all=1").json:
        if each["Names"][0] not in ("/cc", "/dd"):
            assert each["State"] == "created"
            bystander.api("DELETE", f"/containers/{each['Id']}")


# -- slow clients ----------------------------------------------------------------------------

SLOW_CLIENTS = 100


def test_slow_clients_do_not_slow_others(bystander: Engine) -> None:
    """Clients that never finish a request cost the others nothing (RELIABILITY X04)."""
    alone = _median_answer_s(bystander)
    stalled: list[socket.socket] = []
    try:
        for number in range(SLOW_CLIENTS):
            client = connect(bystander.socket)
            client.sendall(b"GET /_ping HTTP/1.1\r\nHost: x\r\nX-Slow: "[: 10 + number % 30])
            stalled.append(client)
        beside = _median_answer_s(bystander)
        assert beside < max(10 * alone, 0.5)
        for client in stalled:
            client.sendall(b"y")
        assert bystander.api("GET", "/_ping").status == 200
    finally:
        for client in stalled:
            client.close()
    wait_until("the engine let go of them", lambda: _open_files(bystander) < SLOW_CLIENTS)


def _median_answer_s(engine: Engine) -> float:
    took = []
    for _attempt in range(15):
        begun = time.monotonic()
        assert engine.api("GET", "/_ping").status == 200
        took.append(time.monotonic() - begun)
    return sorted(took)[len(took) // 2]


def _open_files(engine: Engine) -> int:
    return len(os.listdir(f"/proc/{engine.pid}/fd"))
