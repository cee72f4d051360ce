"""`compose build --print` and images by their digests, beside the real Compose v2."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.compose_oracle import oracle_program
from support.recording_engine import recording
from support.source_tree import REPOSITORY

OURS = [sys.executable, "-P", "-m", "wherry.programs.wherry", "--no-autostart", "compose"]
DIGEST = f"sha256:{'ab' * 32}"
FILE = f"""
name: proj
services:
  a:
    build:
      context: web
      args: {{A: b, HOME: , NOT_SET: , X: "$$y"}}
      target: x
      labels: {{l: "$$m"}}
      tags: [other:1]
      cache_from: [foo, "type=local,src=x"]
      cache_to: ["type=inline"]
      ssh: [default, "k=/x"]
      secrets: [s, {{source: e, target: t}}]
      platforms: [linux/amd64, linux/arm64]
      network: host
      shm_size: 64m
      extra_hosts: ["a:1.2.3.4", "b:::1"]
      additional_contexts: {{more: ./web, img: docker-image://x, kin: service:b}}
      ulimits: {{nofile: {{soft: 5, hard: 6}}, nproc: 7}}
      provenance: mode=max
      sbom: true
      privileged: true
    image: me/web
  b: {{build: {{context: "https://github.com/x/y.git#main:dir", dockerfile: D}}, image: bb}}
  c.d: {{build: {{context: web, dockerfile_inline: "FROM b", provenance: false}}}}
  plain: {{build: {{context: ., no_cache: true, pull: true}}, platform: linux/arm64}}
  redis: {{image: "redis:7"}}
  pinned: {{image: "busybox:1@{DIGEST}"}}
secrets:
  s: {{file: ./web/secret}}
  e: {{environment: HOME}}
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A directory with a project that builds."""
    (tmp_path / "web").mkdir()
    (tmp_path / "compose.yaml").write_text(FILE)
    return tmp_path


def ran(command: list[str], directory: Path, host: str = "") -> "subprocess.CompletedProcess[str]":
    """Of Compose or of ours."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": "/home/someone",
        "PYTHONPATH": str(REPOSITORY / "src"),
        "DOCKER_HOST": host or "unix:///nonexistent",
        "DOCKER_CONFIG": "/nonexistent",
    }
    return subprocess.run(
        command, cwd=directory, env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    "flags",
    [[], ["--push", "--pull", "--no-cache", "--build-arg", "Z=1", "--ssh", "default=/a", "a"]],
)
def test_the_bake_file(flags: list[str], project: Path) -> None:
    """The same targets with the same members in one order; nothing is built."""
    line = ["build", "--print", *flags]
    theirs = json.loads(ran([str(oracle_program()), *line], project).stdout)
    printed = ran([*OURS, *line], project)
    assert printed.returncode == 0, printed.stderr
    ours = json.loads(printed.stdout)
    for file in (ours, theirs):  # In any order there.
        file["group"]["default"]["targets"].sort()
        for target in file["target"].values():
            for name in ("ssh", "ulimits"):
                target.get(name, []).sort()
    assert ours == theirs
    for name, target in theirs["target"].items():
        assert list(ours["target"][name]) == list(target)


def test_nothing_to_build(project: Path) -> None:
    """Then there is no file; and the engine's own is the one builder there is."""
    assert ran([*OURS, "build", "--print", "redis"], project).stdout == ""
    refused = ran([*OURS, "build", "--builder", "other"], project)
    assert refused.returncode != 0
    assert "the engine has one builder" in refused.stderr


@pytest.mark.parametrize(
    "line",
    [
        "--resolve-image-digests redis pinned",
        "--lock-image-digests redis plain pinned",
        "--lock-image-digests --format json redis",
        "--resolve-image-digests a",
    ],
)
def test_images_by_digests(line: str, project: Path) -> None:
    """The registry is asked through the engine, for what has no digest yet."""
    with recording(project / "socket") as engine:
        engine.answers["/distribution/redis:7/json"] = {"Descriptor": {"digest": DIGEST}}
        asked = []
        for program in ([str(oracle_program())], OURS):
            engine.requests.clear()
            host = f"unix://{project}/socket"
            shown = ran([*program, "config", *line.split()], project, host)
            asked.append((shown.returncode, shown.stdout.strip(), list(engine.requests)))
        assert asked[1] == asked[0]
