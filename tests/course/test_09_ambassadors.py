"""Chapter 9 of the course: ambassadors, with a real haproxy in front of a real redis."""

from pathlib import Path

import pytest

from support.daemon import Engine
from support.waiting import wait_until

FORWARDING = """
resolvers docker
  nameserver dns 127.0.0.11:53
  hold valid 200ms
  hold nx 200ms
  timeout retry 200ms
defaults
  mode tcp
  timeout connect 1s
  timeout client 5s
  timeout server 5s
  default-server init-addr none resolvers docker check inter 200ms fall 1 rise 1
listen service
  bind *:{port}
  balance roundrobin
{servers}
"""


def ambassador(
    engine: Engine, directory: Path, name: str, port: int, *servers: str, network: str
) -> None:
    """A haproxy that is called like the service, and forwards to where it is."""
    lines = "\n".join(f"  server s{number} {each}" for number, each in enumerate(servers))
    config = directory / f"{name}.cfg"
    config.write_text(FORWARDING.format(port=port, servers=lines))
    directory.chmod(0o755)
    engine.docker_ok("run", "-d", "--name", f"to-{name}", "--net", network, "--net-alias", name,
                     "-v", f"{config}:/etc/haproxy.cfg:ro", "haproxy")  # fmt: skip


def said_by_redis(engine: Engine, network: str, command: str) -> str:
    """What redis answers to an application that knows it as redis:6379."""
    talk = f"printf '{command}\\r\\nQUIT\\r\\n' | nc redis 6379"
    return engine.docker("run", "--rm", "--net", network, "alpine", "sh", "-c", talk).stdout


@pytest.mark.slide("9.5", "9.6")
def test_a_service_elsewhere_on_another_port(
    services: Engine, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The application says redis:6379; redis is behind port 12345 of a machine."""
    for name in ("here", "elsewhere"):
        services.docker_ok("network", "create", name)
    services.docker_ok("run", "-d", "--net", "elsewhere", "-p", "12345:6379", "redis")
    machine = services.docker_ok("network", "inspect", "here", "-f",
                                 "{{(index .IPAM.Config 0).Gateway}}")  # fmt: skip
    place = tmp_path_factory.mktemp("ambassador")
    ambassador(services, place, "redis", 6379, f"{machine}:12345", network="here")
    wait_until("it is reached", lambda: "PONG" in said_by_redis(services, "here", "PING"))
    assert ":1\n" in said_by_redis(services, "here", "INCR hits")


@pytest.mark.slide("9.7")
def test_a_service_that_moves(services: Engine, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Its new place comes by DNS; the application connects as ever."""
    for name in ("here", "data"):
        services.docker_ok("network", "create", name)
    place = tmp_path_factory.mktemp("ambassador")
    services.docker_ok(
        "run", "-d", "--name", "old", "--net", "data", "--net-alias", "store", "redis"
    )
    ambassador(services, place, "redis", 6379, "store:6379", network="here")
    services.docker_ok("network", "connect", "data", "to-redis")
    wait_until("the old one", lambda: "+OK" in said_by_redis(services, "here", "SET where old"))
    services.docker_ok("rm", "-f", "old")
    services.docker_ok("run", "-d", "--name", "filler", "--net", "data", "alpine", "sleep", "99")
    services.docker_ok(
        "run", "-d", "--name", "new", "--net", "data", "--net-alias", "store", "redis"
    )
    wait_until(
        "the new one", lambda: "$-1" in said_by_redis(services, "here", "GET where"), within_s=20
    )


@pytest.mark.slide("9.8")
def test_credentials_are_put_in(services: Engine) -> None:
    """The application has none; the service asks for some."""
    for name in ("here", "data"):
        services.docker_ok("network", "create", name)
    services.docker_ok("run", "-d", "--net", "data", "--net-alias", "store", "redis",
                       "redis-server", "--requirepass", "s3cret", "--bind", "0.0.0.0")  # fmt: skip
    inject = "(printf 'AUTH %s\\r\\n' $SECRET; cat) | nc store 6379 | tail -n +2"
    proxy = f'echo "{inject}" >/inject; while :; do nc -l -p 6379 -e sh /inject; done'
    services.docker_ok("run", "-d", "--name", "to-redis", "--net", "here", "--net-alias", "redis",
                       "-e", "SECRET=s3cret", "alpine", "sh", "-c", proxy)  # fmt: skip
    services.docker_ok("network", "connect", "data", "to-redis")
    wait_until("it is let in", lambda: "+PONG" in said_by_redis(services, "here", "PING"))
    bare = services.docker("run", "--rm", "--net", "data", "alpine", "sh", "-c",
                           "printf 'PING\\r\\nQUIT\\r\\n' | nc store 6379")  # fmt: skip
    assert "NOAUTH" in bare.stdout


@pytest.mark.slide("9.9")
def test_load_is_spread(services: Engine, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Two backends under one name, each asked in turn; one that dies is left out."""
    services.docker_ok("network", "create", "here")
    for name in ("api-1", "api-2"):
        services.docker_ok("run", "-d", "--name", name, "-h", name, "--net", "here",
                           "elasticsearch:2")  # fmt: skip
    place = tmp_path_factory.mktemp("ambassador")
    ambassador(services, place, "api", 80, "api-1:9200", "api-2:9200", network="here")
    fetch = "for i in 1 2 3 4; do wget -qO- api; done"

    def answered() -> list[str]:
        ran = services.docker("run", "--rm", "--net", "here", "alpine", "sh", "-c", fetch)
        return sorted(line.split('"')[3] for line in ran.stdout.splitlines())

    wait_until("both answer", lambda: answered() == ["api-1", "api-1", "api-2", "api-2"])
    services.docker_ok("rm", "-f", "api-2")
    wait_until("the other does", lambda: answered() == ["api-1"] * 4)
