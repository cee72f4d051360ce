"""`docker stats`: what is shown is what the container does."""

import json
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from support.daemon import Engine
from support.waiting import wait_until

MIB = 1 << 20


@pytest.fixture(autouse=True)
def _clean(engine: Engine) -> Iterator[None]:
    yield
    engine.remove_all_containers()


def _once(engine: Engine, container: str, query: str = "stream=false&one-shot=true") -> Any:
    answer = engine.api("GET", f"/containers/{container}/stats?{query}")
    assert answer.status == 200, answer.body
    return answer.json


def test_table(engine: Engine) -> None:
    """The stock client's table has a line for each running container."""
    engine.docker_ok("run", "-d", "--name", "one", "-m", "64m", "busybox", "sleep", "1000")
    engine.docker_ok("create", "--name", "idle", "busybox", "true")
    table = engine.docker_ok("stats", "--no-stream").splitlines()
    header = "CONTAINER ID NAME CPU % MEM USAGE / LIMIT MEM % NET I/O BLOCK I/O PIDS"
    assert table[0].split() == header.split()
    assert len(table) == 2
    cells = table[1].split()
    assert (cells[1], cells[5], cells[-1]) == ("one", "64MiB", "1")
    everything = engine.docker_ok("stats", "--no-stream", "-a", "--format", "{{.Name}} {{.PIDs}}")
    assert set(everything.splitlines()) == {"one 1", "idle 0"}


def test_a_busy_container(engine: Engine) -> None:
    """A twentieth of a processor is no more than that; its throttling is counted."""
    script = "while :; do :; done"
    container = engine.docker_ok("run", "-d", "--cpus", "0.05", "busybox", "sh", "-c", script)
    sample = _once(engine, container, "stream=false")
    now, before = sample["cpu_stats"], sample["precpu_stats"]
    used = now["cpu_usage"]["total_usage"] - before["cpu_usage"]["total_usage"]
    passed = now["system_cpu_usage"] - before["system_cpu_usage"]
    share = used / passed * now["online_cpus"]
    assert 0.005 < share < 0.15
    assert now["throttling_data"]["throttled_periods"] > 0
    assert sample["preread"] < sample["read"]


def test_memory(engine: Engine, probe: object) -> None:
    """What a process has eaten is its cgroup's, below its limit."""
    flags = ("-d", "-m", "100m", "-v", f"{probe}:/probe:ro")
    container = engine.docker_ok("run", *flags, "busybox", "/probe", "eat", "40")
    wait_until("it has eaten", lambda: "eaten" in engine.docker_ok("logs", container))
    memory = _once(engine, container)["memory_stats"]
    assert memory["limit"] == 100 * MIB
    assert 40 * MIB < memory["usage"] < 60 * MIB
    assert memory["stats"]


def test_without_a_limit(engine: Engine) -> None:
    """The limit is then the machine's memory, and any number of processes."""
    container = engine.docker_ok("run", "-d", "busybox", "sleep", "1000")
    sample = _once(engine, container)
    with open("/proc/meminfo") as file:
        kibibytes = int(file.readline().split()[1])
    assert sample["memory_stats"]["limit"] == kibibytes * 1024
    assert sample["pids_stats"] == {"current": 1, "limit": (1 << 64) - 1}
    assert sample["precpu_stats"]["cpu_usage"]["total_usage"] == 0


def test_network(engine: Engine) -> None:
    """Bytes that a container sends and gets are counted, on its own interface alone."""
    container = engine.docker_ok("run", "-d", "busybox", "sleep", "1000")
    before = _once(engine, container)["networks"]["eth0"]
    gateway = engine.inspect(container)["NetworkSettings"]["Networks"]["bridge"]["Gateway"]
    engine.docker_ok("exec", container, "ping", "-c", "2", "-s", "1000", "-i", "0.2", gateway)
    after = _once(engine, container)["networks"]["eth0"]
    assert after["tx_bytes"] - before["tx_bytes"] >= 2000
    assert after["rx_packets"] - before["rx_packets"] >= 2
    on_host = engine.docker_ok("run", "-d", "--network", "host", "busybox", "sleep", "1000")
    assert "networks" not in _once(engine, on_host)


def test_block_devices(engine: Engine) -> None:
    """What is written through to a disk is counted."""
    container = engine.docker_ok("run", "-d", "busybox", "sleep", "1000")
    write = "dd if=/dev/zero of=/x bs=1M count=4 oflag=direct"
    engine.docker_ok("exec", container, "sh", "-c", write)
    entries = _once(engine, container)["blkio_stats"]["io_service_bytes_recursive"]
    if entries is None:
        pytest.skip("this host has no block device below the engine")
    written = sum(each["value"] for each in entries if each["op"].lower() == "write")
    assert written >= 4 * MIB


def test_a_container_that_does_not_run(engine: Engine) -> None:
    """It has a name, and uses nothing; nobody has is an error."""
    container = engine.docker_ok("create", "--name", "idle", "busybox", "true")
    sample = _once(engine, container, "stream=false")
    assert (sample["name"], sample["id"]) == ("/idle", container)
    assert sample["memory_stats"] == {}
    answer = engine.api("GET", "/containers/nobody/stats")
    assert (answer.status, answer.json["message"]) == (404, "No such container: nobody")
    answer = engine.api("GET", "/containers/idle/stats?stream=1&one-shot=1")
    assert (answer.status, answer.json["message"]) == (
        400,
        "cannot have stream=true and one-shot=true",
    )


def test_a_stream_goes_over_a_restart_and_ends_with_the_container(engine: Engine) -> None:
    """One stream tells of both lives, in between of none, and ends with the removal."""
    engine.docker_ok("run", "-d", "--name", "one", "busybox", "sleep", "1000")
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(engine.socket)
        client.settimeout(30)
        client.sendall(b"GET /v1.51/containers/one/stats HTTP/1.0\r\n\r\n")
        stream = client.makefile("rb")
        while stream.readline().strip():
            pass

        def sample() -> Any:
            return json.loads(stream.readline())

        first, second = sample(), sample()
        assert second["preread"] == first["read"]
        engine.docker_ok("stop", "-t", "0", "one")
        while sample()["pids_stats"]:
            pass
        engine.docker_ok("start", "one")
        while not sample()["pids_stats"]:
            pass
        engine.docker_ok("rm", "-f", "one")
        assert all(not json.loads(line)["pids_stats"] for line in stream.readlines()[-1:])


def test_own_table(engine: Engine) -> None:
    """Wherry's own client shows the same."""
    flags = ("-d", "--name", "one", "-m", "64m", "--network", "none")
    engine.docker_ok("run", *flags, "busybox", "sleep", "1000")
    template = "{{.Container}} {{.Name}} {{.PIDs}} {{.NetIO}} {{.BlockIO}}"
    wanted = [
        ("stats", "--no-stream", "--format", template, *arguments)
        for arguments in (("one",), ("--no-trunc", "one"), ())
    ]
    table = ("stats", "--no-stream")
    # Each waits for a second reading, so they wait together.
    with ThreadPoolExecutor() as pool:
        told = [
            [pool.submit(client, *words) for client in (engine.wherry, engine.docker)]
            for words in (*wanted, table)
        ]
    *rows, tables = [[each.result().stdout for each in pair] for pair in told]
    for own, stock in rows:
        assert own == stock
    own_header, stock_header = (each.splitlines()[0] for each in tables)
    assert own_header == stock_header
    missing = engine.wherry("stats", "--no-stream", "nobody")
    assert missing.returncode == 1
    assert "No such container: nobody" in missing.stderr
