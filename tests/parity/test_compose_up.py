"""`wherry compose up` and `down` beside Compose v2: the same containers, each other's projects."""

import json
import sys
from pathlib import Path

import pytest

from support.compose_projects import OURS, THEIRS, ComposeProject
from support.daemon import Engine
from support.terminal import Terminal
from support.waiting import wait_until

_RICH = """
name: rich
x-idle: &idle {image: busybox, command: sleep 99, init: true, stop_grace_period: 0s}
services:
  all:
    <<: *idle
    env_file: [{path: some.env, required: false}]
    environment: {A: 1, B: , C: "x=y"}
    volumes:
      - /anonymous
      - data:/data
      - data:/read-only:ro
      - ./files:/files
      - {type: bind, source: ./files, target: /long, bind: {create_host_path: false}}
      - {type: tmpfs, target: /t, tmpfs: {size: 1m}}
      - {type: volume, source: data, target: /nocopy, volume: {nocopy: true}}
    tmpfs: [/tt, "/tu:size=1m"]
    secrets: [kept, {source: told, target: other}]
    configs: [said, {source: written, target: /etc/written}]
    networks:
      front: {aliases: [alias], priority: 5}
      back: {ipv4_address: 172.30.5.9, mac_address: "02:42:ac:1e:05:09"}
    extra_hosts: ["somewhere:1.2.3.4"]
    links: ["linked:other"]
    ulimits: {nofile: {soft: 100, hard: 200}, nproc: 50}
    sysctls: {net.core.somaxconn: 99}
    deploy:
      resources:
        limits: {cpus: "0.5", memory: 50m, pids: 40}
        reservations: {memory: 20m}
      restart_policy: {condition: on-failure, max_attempts: 3}
    stop_signal: SIGINT
    healthcheck: {test: [CMD, "true"], interval: 5s, timeout: 3s, retries: 2, start_period: 1s}
    labels: {own: label}
    expose: ["99", "100/udp"]
    ports: ["80", "127.0.0.1:0:81/udp"]
    logging: {driver: json-file, options: {max-size: 1m}}
    cap_add: [NET_ADMIN]
    cap_drop: [MKNOD]
    dns: 1.1.1.1
    dns_search: [example.com]
    security_opt: [no-new-privileges]
    shm_size: 32m
    hostname: named
    user: "0:0"
    working_dir: /tmp
    tty: true
    stdin_open: true
  shares: {<<: *idle, network_mode: "service:all", pid: "service:all", depends_on: [all]}
  linked: {<<: *idle, networks: [front]}
  lone: {<<: *idle, container_name: lonely, network_mode: none, restart: unless-stopped,
         read_only: true, privileged: true, group_add: ["9"], oom_score_adj: 7, cpuset: "0",
         mem_swappiness: 3, pids_limit: 9, cpu_shares: 99, entrypoint: [], init: false}
  three: {<<: *idle, scale: 3, volumes_from: ["all:ro"], healthcheck: {disable: true}}
volumes: {data: {labels: {v: w}}}
networks:
  front: {driver_opts: {com.docker.network.bridge.name: rich0}}
  back: {ipam: {config: [{subnet: 172.30.5.0/24}]}, labels: {a: b}, internal: true}
secrets: {kept: {file: ./secret}, told: {environment: HOME}}
configs: {said: {content: "hello $$x"}, written: {file: ./secret}}
"""

_SMALL = """
name: small
x-idle: &idle {image: busybox, command: sleep 99, init: true, stop_grace_period: 0s}
services:
  base: {<<: *idle, volumes: [/kept, "data:/data"], healthcheck: {test: "true", interval: 1s}}
  once: {image: busybox, command: "true"}
  web: {<<: *idle, scale: 2, depends_on: {base: {condition: service_healthy},
        once: {condition: service_completed_successfully}}}
  inside: {<<: *idle, network_mode: "service:base"}
volumes: {data: }
"""


@pytest.fixture
def small(engine: Engine, tmp_path: Path) -> "ComposeProject":
    """A project with conditions, a shared namespace and a scale."""
    return ComposeProject(engine, tmp_path, _SMALL, "small")


def test_the_same_containers(engine: Engine, tmp_path: Path) -> None:
    """What ours makes of a file with most fields is, by inspect, what theirs makes."""
    project = ComposeProject(engine, tmp_path, _RICH, "rich")
    (tmp_path / "some.env").write_text("E=1\n")
    (tmp_path / "secret").write_text("s\n")
    (tmp_path / "files").mkdir()
    made = {}
    for tool in (THEIRS, OURS):
        project.ok(tool, "up", "-d")
        made[tool] = project.facts()
        made[tool]["/said"] = engine.docker_ok("exec", "rich-all-1", "cat", "/said")
        look = "cd /run/secrets; stat -c '%A %u %g %s %n' *"
        made[tool]["secrets"] = engine.docker_ok("exec", "rich-all-1", "sh", "-c", look)
        project.down()
    assert list(made[OURS]) == list(made[THEIRS])
    for name, theirs in made[THEIRS].items():
        for part, facts in theirs.items() if isinstance(theirs, dict) else ():
            assert made[OURS][name][part] == facts, (name, part)
    assert made[OURS] == made[THEIRS]


@pytest.mark.parametrize(("first", "second"), [(THEIRS, OURS), (OURS, THEIRS)])
def test_handed_over(small: ComposeProject, first: str, second: str) -> None:
    """A project that one tool has started is continued by the other, and nothing is recreated."""
    small.ok(first, "up", "-d")
    before = small.container_ids()
    told = small.ok(second, "up", "-d").stderr
    assert "Recreate" not in told
    assert "Container small-base-1  Running" in told
    assert small.container_ids() == before
    small.ok(second, "down", "-v", "-t", "0")
    assert small.container_ids() == {}
    assert small.engine.docker_ok("volume", "ls", "-q") == ""
    assert "small" not in small.engine.docker_ok("network", "ls")


def test_only_what_changed(small: ComposeProject) -> None:
    """Of a changed file only the changed service is made anew; its anonymous volume goes on."""
    small.ok(OURS, "up", "-d")
    before = small.container_ids()
    small.engine.docker_ok("exec", "small-base-1", "touch", "/kept/here")
    small.write(_SMALL.replace("volumes: [/kept", "environment: [NEW=1], volumes: [/kept"))
    plan = small.ok(OURS, "up", "-d", "--dry-run").stderr
    assert small.container_ids() == before
    assert (
        "DRY-RUN MODE -  Container small-base-1  Recreated  (its configuration has changed)"
        in plan
    )
    told = small.ok(OURS, "up", "-d").stderr
    assert "Container small-base-1  Recreated" in told
    after = small.container_ids()
    changed = {name for name in after if after[name] != before[name]}
    # What shares a namespace with it can't go on in the old one.
    assert changed == {"small-base-1", "small-inside-1"}
    assert small.engine.docker_ok("exec", "small-base-1", "ls", "/kept") == "here"
    assert "Recreate" not in small.ok(THEIRS, "up", "-d").stderr
    small.down()


def test_scales_and_orphans(small: ComposeProject) -> None:
    """A scale that falls takes the highest numbers; a service that is gone leaves orphans."""
    small.ok(OURS, "up", "-d", "--scale", "web=3")
    assert {"small-web-1", "small-web-2", "small-web-3"} <= set(small.container_ids())
    small.ok(OURS, "up", "-d", "--scale", "web=1")
    assert not {"small-web-2", "small-web-3"} & set(small.container_ids())
    small.write(_SMALL.replace("  inside:", "  renamed:"))
    assert "Found orphan containers ([small-inside-1])" in small.ok(OURS, "up", "-d").stderr
    small.ok(OURS, "up", "-d", "--remove-orphans")
    assert "small-inside-1" not in small.container_ids()
    small.down()


def test_failures_leave_the_others(small: ComposeProject) -> None:
    """A dependency that fails stops what needs it; the others run, and down removes them all."""
    small.write(_SMALL.replace('"true"}', '"false"}'))
    told = small.run(OURS, "up", "-d")
    assert told.returncode == 1
    assert 'service "once" didn\'t complete successfully: exit 1' in told.stderr
    listed = small.ok(OURS, "ps", "-a", "--format", "{{.Name}} {{.State}}").stdout
    states = dict(line.split() for line in listed.splitlines())
    assert states["small-base-1"] == "running"
    assert states["small-web-1"] == "created"
    small.down()
    assert small.container_ids() == {}


_HOOKED = """
name: small
services:
  web:
    image: busybox
    command: sleep 99
    init: true
    volumes: ["./told:/told"]
    post_start: [{command: [sh, -c, "echo started $$WORD >> /told/all"], environment: [WORD=w]}]
    pre_stop: [{command: [sh, -c, "echo stopping >> /told/all"], user: root}]
"""


def test_hooks(small: ComposeProject) -> None:
    """post_start runs after the start and pre_stop before the stop; one that fails is told."""
    (small.directory / "told").mkdir()
    small.write(_HOOKED)
    small.ok(OURS, "up", "-d")
    small.ok(OURS, "stop", "-t", "0")
    assert (small.directory / "told" / "all").read_text() == "started w\nstopping\n"
    small.write(_HOOKED.replace("echo started $$WORD >> /told/all", "echo because; exit 3"))
    told = small.run(OURS, "up", "-d")
    assert told.returncode == 1
    assert "web hook exited with status 3: because" in told.stderr
    small.down()


def test_live_progress(small: ComposeProject) -> None:
    """On a terminal each thing keeps its line, which ends with what became of it."""
    own = (sys.executable, "-P", "-m", "wherry.programs.wherry", "--no-autostart", "compose")
    file = str(small.directory / "compose.yaml")
    with Terminal([*own, "-f", file, "up", "-d"], small.engine.environment) as terminal:
        terminal.expect(r"\[\+\] Running [0-9]/[0-9]", within_s=30)
        terminal.expect(r"✔ Container small-web-2 +Started +.*[0-9]\.[0-9]s", within_s=60)
        assert terminal.wait(within_s=30) == 0
    small.down()


def test_ps_and_logs(small: ComposeProject) -> None:
    """The list and the logs are those of Compose v2, line by line."""
    small.write(_SMALL.replace("command: sleep 99", 'command: [sh, -c, "echo out; sleep 99"]'))
    small.ok(OURS, "up", "-d")
    wait_until("all have written", lambda: small.ok(OURS, "logs").stdout.count("out") == 4)
    for words in (["-a", "--services"], ["-aq"], ["--status", "exited", "--format", "{{.Name}}"]):
        mine, theirs = small.ok(OURS, "ps", *words), small.ok(THEIRS, "ps", *words)
        assert sorted(mine.stdout.split()) == sorted(theirs.stdout.split()), words
    fleeting = ("CreatedAt", "RunningFor", "Status", "Labels", "Mounts")
    shown = [
        [
            {key: each for key, each in json.loads(line).items() if key not in fleeting}
            for line in small.ok(tool, "ps", "-a", "--format", "json").stdout.splitlines()
        ]
        for tool in (OURS, THEIRS)
    ]
    assert shown[0] == shown[1]
    mine, theirs = small.ok(OURS, "logs", "web"), small.ok(THEIRS, "logs", "web")
    assert sorted(mine.stdout.splitlines()) == sorted(theirs.stdout.splitlines())
    assert mine.stdout.splitlines()[0] == "web-1  | out"
    small.down()
