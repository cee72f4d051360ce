"""Chapter 21 of the course: the ways by which logs leave a container."""

import json
import subprocess
from pathlib import Path

import pytest

from support import receivers
from support.compose_oracle import oracle_program
from support.daemon import Engine
from support.waiting import wait_until


@pytest.mark.slide("21.3")
def test_standard_output_and_error(engine: Engine) -> None:
    """The engine receives each line, and `docker logs` shows it, of the right stream."""
    script = "echo to stdout; echo to stderr >&2"
    engine.docker_ok("run", "--name", "app", "busybox", "sh", "-c", script)
    said = engine.docker("logs", "app")
    assert (said.stdout, said.stderr) == ("to stdout\n", "to stderr\n")


@pytest.mark.slide("21.4")
def test_local_files(engine: Engine) -> None:
    """What is logged to a file is reached by exec and cp, and goes with the container."""
    engine.docker_ok("run", "-d", "--name", "app", "busybox", "sh", "-c",
                     "echo served > /access.log; exec sleep 1000")  # fmt: skip
    wait_until("it has logged", lambda: engine.docker("exec", "app", "cat", "/access.log").stdout)
    engine.docker_ok("stop", "-t", "0", "app")
    assert engine.docker("exec", "app", "cat", "/access.log").returncode == 1
    engine.docker_ok("cp", "app:/access.log", str(engine.root / "copied"))
    assert (engine.root / "copied").read_text() == "served\n"
    (engine.root / "copied").unlink()
    engine.docker_ok("rm", "app")
    assert engine.docker("cp", "app:/access.log", "-").returncode == 1


@pytest.mark.slide("21.5")
def test_a_volume_or_a_bind_mount(engine: Engine) -> None:
    """A second container reads along in a volume; the host does in a bind mount."""
    directory = engine.root / "www-logs"
    directory.mkdir()
    write = "echo served | tee /var/log/tomcat/access.log > /var/log/www/access.log"
    mounts = ("-v", f"{directory}:/var/log/tomcat", "-v", "logs:/var/log/www")
    engine.docker_ok("run", "--rm", *mounts, "busybox", "sh", "-c", write)
    assert (directory / "access.log").read_text() == "served\n"
    read = ("busybox", "cat", "/logs/access.log")
    assert engine.docker_ok("run", "--rm", "-v", "logs:/logs", *read) == "served"
    engine.docker_ok("volume", "rm", "logs")
    (directory / "access.log").unlink()
    directory.rmdir()


@pytest.mark.slide("21.6")
def test_a_server_named_log(engine: Engine) -> None:
    """The name `log` is another address in every environment."""
    received = engine.root / "received"
    for place in ("development", "production"):
        run = ("run", "--network", place)
        # nc ends when the other side ends, whether a pipe's writer has been there yet or not.
        send = f"echo to {place} > said; until nc -w 1 log 514 < said; do sleep 0.1; done"
        engine.docker_ok("network", "create", place)
        engine.docker_ok(*run, "-d", "--name", place, "--network-alias", "log", "busybox",
                         "sh", "-c", "nc -l -p 514 > /received")  # fmt: skip
        engine.docker_ok(*run, "--rm", "busybox", "sh", "-c", send)
        engine.docker_ok("wait", place)
        engine.docker_ok("cp", f"{place}:/received", str(received))
        assert received.read_text() == f"to {place}\n"
    received.unlink()
    engine.remove_all_containers()
    engine.docker_ok("network", "rm", "development", "production")


@pytest.mark.slide("21.7")
def test_the_socket_of_syslog(engine: Engine) -> None:
    """A daemon's socket on a volume, and a symbolic link from /dev/log to it."""
    collect = "ln -s /run/log/socket /dev/log; exec syslogd -n -O /messages"
    engine.docker_ok("run", "-d", "--name", "syslog", "-v", "socket:/run/log", "busybox", "sh",
                     "-c", collect)  # fmt: skip
    log = (
        "ln -s /run/log/socket /dev/log; until test -S /dev/log; do sleep 0.1; done; logger Voila"
    )
    engine.docker_ok("run", "--rm", "-v", "socket:/run/log", "busybox", "sh", "-c", log)
    wait_until(
        "it came", lambda: "Voila" in engine.docker("exec", "syslog", "cat", "/messages").stdout
    )
    engine.remove_all_containers()
    engine.docker_ok("volume", "rm", "socket")


@pytest.mark.slide("21.8")
def test_the_drivers_there_are(engine: Engine) -> None:
    """`docker info` lists them, and the one that is used if nobody says otherwise."""
    told = engine.api("GET", "/info").json
    assert told["LoggingDriver"] == "json-file"
    wanted = {"json-file", "syslog", "journald", "gelf", "fluentd", "splunk"}
    assert wanted <= set(told["Plugins"]["Log"])


def test_rotation_by_option(engine: Engine) -> None:
    """The chapter's example: `--log-opt max-size=10m --log-opt max-file=3`."""
    options = ("--log-opt", "max-size=10m", "--log-opt", "max-file=3")
    container = engine.docker_ok("run", "-d", *options, "busybox", "true")
    found = engine.inspect(container)["HostConfig"]["LogConfig"]
    assert found == {"Type": "json-file", "Config": {"max-file": "3", "max-size": "10m"}}


@pytest.mark.stock_differs
def test_rotation_by_default(engine: Engine) -> None:
    """The chapter's warning does not hold here: a verbose container fills 60 MB and no more."""
    container = engine.docker_ok("run", "-d", "busybox", "true")
    found = engine.inspect(container)["HostConfig"]["LogConfig"]
    assert found == {"Type": "json-file", "Config": {"max-file": "3", "max-size": "20m"}}


@pytest.mark.slide("21.14")
@pytest.mark.stock_differs
def test_the_gelf_demonstration(engine: Engine) -> None:
    """The chapter's `--log-driver=gelf --log-opt=gelf-address=udp://localhost:12201`."""
    words = ("--log-driver=gelf", "--log-opt=gelf-address=udp://localhost:12201")
    with receivers.udp(engine.machine, 12201) as taker:
        assert (
            engine.docker_ok("run", *words, "busybox", "echo", "hello", "world") == "hello world"
        )
        wait_until("it came", lambda: len(receivers.gelf_documents(taker.packets)) == 1)
        (document,) = receivers.gelf_documents(taker.packets)
    assert document["short_message"] == "hello world"
    assert document["_image_name"] == "busybox"


ELK = """
services:
  elasticsearch:
    image: busybox
    command: nc -ll -p 9200 -e cat
  logstash:
    image: busybox
    command:
      - sh
      - -c
      - echo "$$1"; nc elasticsearch 9200 </dev/null; exec sleep 1000
      - logstash
      - 'input { gelf { } } output { elasticsearch { hosts => ["elasticsearch:9200"] } }'
    ports: ["12201:12201/udp"]
  kibana:
    image: busybox
    command: sh -c 'echo $$ELASTICSEARCH_URL; exec sleep 1000'
    ports: ["5601:5601"]
    environment:
      ELASTICSEARCH_URL: http://elasticsearch:9200
"""
"""The chapter's stack: the same names, ports and wiring, with programs that stand in."""


@pytest.mark.slide("21.12", "21.13")
@pytest.mark.stock_differs
def test_the_elk_stack(engine: Engine, tmp_path: Path) -> None:
    """Compose brings it up, configured by variables and arguments; its parts find each other."""
    (tmp_path / "docker-compose.yml").write_text(ELK)

    def compose(*words: str) -> str:
        ran = subprocess.run(
            [oracle_program(), "-p", "elk", *words],
            cwd=tmp_path, env=engine.environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    compose("up", "-d")
    assert engine.docker_ok("logs", "elk-kibana-1") == "http://elasticsearch:9200"
    assert engine.docker_ok("logs", "elk-logstash-1").startswith("input { gelf { } } output")
    engine.docker_ok("exec", "elk-logstash-1", "nc", "-w", "5", "elasticsearch", "9200")
    compose("down", "-t", "0")


@pytest.mark.slide("21.14")
@pytest.mark.stock_differs
def test_a_driver_for_the_whole_engine(engine: Engine) -> None:
    """Done globally, by the daemon's configuration file."""
    configuration = Path(engine.root) / "daemon.json"
    configuration.write_text(
        json.dumps({"log-driver": "local", "log-opts": {"max-size": "1m", "max-file": "2"}})
    )
    engine.stop()
    engine.start("--config-file", str(configuration))
    container = engine.docker_ok("run", "-d", "busybox", "echo", "kept")
    found = engine.inspect(container)["HostConfig"]["LogConfig"]
    assert found == {"Type": "local", "Config": {"max-file": "2", "max-size": "1m"}}
    wait_until("it is kept", lambda: engine.docker_ok("logs", container) == "kept")
    assert engine.docker_ok("info", "--format", "{{.LoggingDriver}}") == "local"
    engine.restart()
    configuration.unlink()
