"""Templates give the same text and exit code through the stock docker CLI and through ours."""

import http.server
import json
import os
import shutil
import socketserver
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from wherry.cli import entry

DOCKER = shutil.which("docker") or "docker"

CONTAINER = {
    "Id": "4f2d3c8a9b1e" + "0" * 52,
    "Created": "2024-05-01T10:11:12.123456789Z",
    "Path": "nginx",
    "Args": ["-g", "daemon off;"],
    "State": {
        "Status": "running", "Running": True, "Paused": False, "Restarting": False,
        "OOMKilled": False, "Dead": False, "Pid": 4242, "ExitCode": 0, "Error": "",
        "StartedAt": "2024-05-01T10:11:13Z", "FinishedAt": "0001-01-01T00:00:00Z",
        "Health": {"Status": "healthy", "FailingStreak": 0, "Log": []},
    },
    "Image": "sha256:" + "ab" * 32,
    "Name": "/web",
    "RestartCount": 2,
    "Driver": "overlay2",
    "ExecIDs": None,
    "HostConfig": {
        "Binds": ["/srv:/data:ro", "cache:/cache"],
        "NetworkMode": "bridge",
        "PortBindings": {"80/tcp": [{"HostIp": "", "HostPort": "8080"}]},
        "RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 5},
        "Memory": 67108864,
        "NanoCpus": 1500000000,
        "PidsLimit": 100,
        "Init": None,
        "Ulimits": [{"Name": "nofile", "Hard": 2048, "Soft": 1024}],
        "LogConfig": {"Type": "json-file", "Config": {"max-size": "10m"}},
    },
    "Mounts": [
        {"Type": "bind", "Source": "/srv", "Destination": "/data", "Mode": "ro", "RW": False,
         "Propagation": "rprivate"},
        {"Type": "volume", "Name": "cache", "Source": "/var/lib/cache", "Destination": "/cache",
         "Driver": "local", "Mode": "z", "RW": True, "Propagation": ""},
    ],
    "Config": {
        "Hostname": "4f2d3c8a9b1e",
        "User": "www",
        "Env": ["PATH=/usr/bin:/bin", "GREETING=grüß <dich> & \"mich\""],
        "Cmd": ["nginx"],
        "ExposedPorts": {"80/tcp": {}, "443/tcp": {}},
        "Labels": {"com.example.team": "sea", "tier": "front", "empty": ""},
        "Healthcheck": {"Test": ["CMD", "true"], "Interval": 90000000000, "Retries": 3},
        "StopTimeout": 7,
    },
    "NetworkSettings": {
        "IPAddress": "172.17.0.2",
        "Ports": {
            "80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8080"}],
            "443/tcp": None,
        },
        "Networks": {"bridge": {"IPAddress": "172.17.0.2", "Gateway": "172.17.0.1",
                                "IPPrefixLen": 16, "Aliases": None}},
    },
}  # fmt: skip
CONTAINERS = [
    {
        "Id": "4f2d3c8a9b1e" + "0" * 52, "Names": ["/web", "/proxy/web"], "Image": "nginx:1.25",
        "ImageID": "sha256:" + "ab" * 32, "Command": 'nginx -g "daemon off;" and much more',
        "Created": 1700000000, "State": "running", "Status": "Up 5 minutes (healthy)",
        "Ports": [
            {"IP": "0.0.0.0", "PrivatePort": 80, "PublicPort": 8080, "Type": "tcp"},
            {"IP": "::", "PrivatePort": 80, "PublicPort": 8080, "Type": "tcp"},
            {"IP": "0.0.0.0", "PrivatePort": 9001, "PublicPort": 9001, "Type": "udp"},
            {"IP": "0.0.0.0", "PrivatePort": 9002, "PublicPort": 9002, "Type": "udp"},
            {"PrivatePort": 443, "Type": "tcp"},
        ],
        "Labels": {"com.example.some-team": "sea", "tier": "front"},
        "Mounts": [
            {"Type": "volume", "Name": "a-rather-long-volume-name", "Driver": "local"},
            {"Type": "bind", "Source": "/srv"},
        ],
        "NetworkSettings": {"Networks": {"front": {}}},
    },
    {
        "Id": "aaaabbbbcccc" + "1" * 52, "Names": ["/db"], "Image": "sha256:" + "cd" * 32,
        "ImageID": "sha256:" + "cd" * 32, "Command": "sleep 1", "Created": 1600000000,
        "State": "exited", "Status": "Exited (137) 2 years ago", "Ports": [], "Labels": {},
        "Mounts": [], "NetworkSettings": {"Networks": {}}, "SizeRw": 12345, "SizeRootFs": 99999999,
    },
]  # fmt: skip
IMAGES = [
    {
        "Id": "sha256:" + "ab" * 32, "RepoTags": ["nginx:1.25", "nginx:latest"],
        "RepoDigests": ["nginx@sha256:" + "12" * 32], "Created": 1700000000, "Size": 187654321,
        "SharedSize": -1, "Containers": -1, "Labels": None, "ParentId": "",
    },
    {
        "Id": "sha256:" + "ef" * 32, "RepoTags": ["registry:5000/a/b:v2"], "RepoDigests": [],
        "Created": 1650000000, "Size": 1, "SharedSize": 0, "Containers": 0, "Labels": {},
        "ParentId": "",
    },
    {
        "Id": "sha256:" + "cd" * 32, "RepoTags": None, "RepoDigests": None, "Created": 1600000000,
        "Size": 999, "SharedSize": 99, "Containers": 2, "Labels": {"a": "b"}, "ParentId": "",
    },
]  # fmt: skip
VERSION = {
    "Platform": {"Name": "Fixed Engine"},
    "Components": [{"Name": "Engine", "Version": "9.8.7", "Details": {"ApiVersion": "1.50"}}],
    "Version": "9.8.7", "ApiVersion": "1.50", "MinAPIVersion": "1.24", "GitCommit": "abc",
    "GoVersion": "go1", "Os": "linux", "Arch": "amd64", "KernelVersion": "6.1",
    "BuildTime": "2024-01-01T00:00:00.000000000+00:00",
}  # fmt: skip
NETWORK = {
    "Name": "bridge", "Id": "9" * 64, "Created": "2024-05-01T10:11:12.5Z", "Scope": "local",
    "Driver": "bridge", "EnableIPv4": True, "EnableIPv6": False, "Internal": False,
    "IPAM": {"Driver": "default", "Options": None, "Config": [{"Subnet": "172.17.0.0/16"}]},
    "Containers": {"c" * 64: {"Name": "web", "IPv4Address": "172.17.0.2/16"}},
    "Options": {"com.docker.network.bridge.name": "docker0"}, "Labels": {"x": "y"},
}  # fmt: skip
ANSWERS = {
    "/containers/json": CONTAINERS,
    "/containers/web/json": CONTAINER,
    "/images/json": IMAGES,
    "/version": VERSION,
    "/networks": [NETWORK],
    "/networks/bridge": NETWORK,
}


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers GET with fixed JSON."""

    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        """The ping of the stock CLI."""
        self.do_GET()

    def do_GET(self) -> None:
        """The answer for the path, whatever its version and query."""
        path = self.path.partition("?")[0]
        if path.startswith("/v1."):
            path = "/" + path.split("/", 2)[2]
        status = 200 if path in ANSWERS or path == "/_ping" else 404
        body = json.dumps(ANSWERS.get(path, {"message": "no such thing"})).encode()
        self.send_response(status)
        self.send_header("Api-Version", "1.50")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing."""

    def address_string(self) -> str:
        """A Unix socket's peer has no name."""
        return ""


class Server(socketserver.ThreadingUnixStreamServer):
    """Ends with the test."""

    daemon_threads = True


@pytest.fixture(scope="module", autouse=True)
def _leaves_nothing() -> None:
    """No engine runs here, so there is no census to take."""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server of the fixed answers."""
    path = tmp_path_factory.mktemp("engine") / "engine.sock"
    with Server(str(path), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"unix://{path}"
        server.shutdown()
        thread.join()


INSPECT = [
    "plain text",
    "{{.Name}}",
    "{{.ID}}",
    "{{.Id}}",
    "{{.State.Pid}}",
    "{{.State.Running}} {{.State.ExitCode}}",
    "{{.NetworkSettings.IPAddress}}",
    "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}",
    "{{range $name, $net := .NetworkSettings.Networks}}{{$name}}={{$net.Gateway}} {{end}}",
    "{{range $p, $conf := .NetworkSettings.Ports}} {{$p}} -> {{(index $conf 0).HostPort}} {{end}}",
    '{{(index (index .NetworkSettings.Ports "80/tcp") 0).HostPort}}',
    '{{index .NetworkSettings.Ports "443/tcp"}}',
    '{{with index .NetworkSettings.Ports "22/tcp"}}open{{else}}closed{{end}}',
    "{{json .Config.Labels}}",
    "{{json .State}}",
    "{{json .HostConfig}}",
    "{{json .NetworkSettings.Ports}}",
    "{{json .Mounts}}",
    "{{json .}}",
    "{{json .Config.Env}}",
    "{{.Config.Labels}}",
    '{{index .Config.Labels "com.example.team"}}',
    '{{index .Config.Labels "nope"}}|',
    "{{.Config.Labels.tier}}",
    "{{.Config.Labels.nope}}",
    "{{range $k, $v := .Config.Labels}}{{$k}}={{$v}};{{end}}",
    "{{range .Config.Env}}{{println .}}{{end}}",
    '{{join .Args " "}}',
    '{{join .Config.Env ","}}',
    '{{split .Name "/"}}',
    '{{len (split .NetworkSettings.IPAddress ".")}}',
    "{{upper .Name}} {{lower .Path}} {{title .Driver}}",
    '{{pad .Name 2 3}}|',
    "{{truncate .Image 10}}",
    "{{.Mounts}}",
    "{{range .Mounts}}{{.Type}}:{{.Destination}}:{{.RW}} {{end}}",
    "{{range $i, $m := .Mounts}}{{$i}}={{$m.Source}} {{end}}",
    "{{len .Mounts}}",
    "{{.HostConfig.RestartPolicy}}",
    "{{.HostConfig.RestartPolicy.Name}}:{{.HostConfig.RestartPolicy.MaximumRetryCount}}",
    "{{.HostConfig.Memory}} {{.HostConfig.NanoCPUs}}",
    "{{.HostConfig.NanoCpus}}",
    "{{.HostConfig.PidsLimit}}",
    "{{.HostConfig.Init}}",
    "{{if .HostConfig.Init}}yes{{else}}no{{end}}",
    "{{.HostConfig.Ulimits}}",
    "{{.HostConfig.LogConfig}}",
    "{{.HostConfig.NetworkMode | upper}}",
    "{{.HostConfig.Binds}}",
    "{{.HostConfig.PortBindings}}",
    "{{.Config.ExposedPorts}}",
    "{{.Config.Healthcheck}}",
    "{{.Config.Healthcheck.Interval}}",
    "{{.Config.StopTimeout}}",
    "{{.Config.Cmd}} {{.Config.Entrypoint}}",
    "{{.ExecIDs}}",
    "{{.State.Health.Status}} {{.State.Health.Log}}",
    "{{.Foo}}",
    "{{.State.Foo}}",
    "{{.State.Foo.Bar}}",
    "{{.Name.Foo}}",
    "{{.State.Pid.Foo}}",
    "a\n{{.State.Foo}}",
    "{{.",
    "{{",
    "{{.Name",
    "{{if .Name}}",
    "{{end}}",
    "{{else}}",
    "{{range}}{{end}}",
    "{{nofunc .Name}}",
    "{{$x}}",
    '{{"unterminated}}',
    "{{.Name | 3}}",
    "{{break}}",
    "{{1x}}",
    "{{.a!}}",
    "{{(.Name}}",
    "{{.Name)}}",
    "{{/* comment */}}after",
    "{{/* open",
    "a {{- .Path -}} b",
    "{{ .Path }}\n{{- /* gone */ -}}\n x",
    "{{$x := .Name}}{{$x}}{{$x = \"other\"}}{{$x}}",
    "{{with .State}}{{.Status}}{{end}}",
    "{{with $s := .State}}{{$s.Status}}{{$.Name}}{{end}}",
    "{{if and .State.Running (not .State.Paused)}}up{{end}}",
    "{{if or .State.Paused .State.Dead}}bad{{else if .State.Running}}good{{else}}odd{{end}}",
    '{{if eq .State.Status "created" "running"}}one of them{{end}}',
    "{{if gt .RestartCount 1}}many{{end}}{{if le .RestartCount 1}}few{{end}}",
    '{{eq .RestartCount "2"}}',
    "{{lt .State.Pid 5000}} {{ge 1.5 2.5}} {{ne .Name .Path}}",
    "{{range $i, $e := .Args}}{{if $i}}{{break}}{{end}}{{$e}}{{end}}",
    '{{range .Config.Env}}{{if eq . "PATH=/usr/bin:/bin"}}{{continue}}{{end}}{{.}}{{end}}',
    "{{range .ExecIDs}}x{{else}}none{{end}}",
    "{{range 3}}{{.}}{{end}}",
    '{{printf "%s %q %v %d %5d|%-5d|%05d" .Name .Path .State.Running 7 7 7 7}}',
    '{{printf "%x %X %o %b %c %U" 255 255 8 5 65 65}}',
    '{{printf "%.2f %e %g %t %T %T %T" 3.14159 1234.5 1e21 true .State.Pid .Name .Mounts}}',
    '{{printf "%d" .Name}} {{printf "%s" 5}} {{printf "%z" 1}} {{printf "%d"}} {{printf "x" 1}}',
    '{{printf "%10.3s|%+d|%%|%v" "abcdef" 5 nil}}',
    '{{printf "%v %v" .Args .Config.Labels}} {{printf "%q" .Args}}',
    '{{print 1 2 "a" "b" 3 true}} {{println "x" 1}}',
    "{{html .Config.Env}}",
    "{{js (index .Config.Env 1)}}",
    '{{urlquery "a b&c=ü/"}}',
    '{{slice .Name 1 3}} {{slice .Args 1}} {{index .Args 0}}',
    "{{index .Args 7}}",
    '{{index .Args "x"}}',
    "{{len .State}}",
    "{{len .Name}} {{len .Config.Labels}}",
    "{{1}} {{-2}} {{0x1F}} {{1_000}} {{1.5e3}} {{'a'}} {{`raw`}} {{\"q\\t\\u00e9\"}} {{true}}",
    "{{nil}}",
    "{{.}} {{.Name}}".removeprefix("{{.}} "),
    "{{not .Foo}}",
    "{{.Name | printf \"%s-%s\" \"x\"}}",
    "{{(split .Name \"/\") | json}}",
    "{{len (index (split .Name \"/\") 1)}}",
    "{{json nil}} {{json 1.0}} {{json \"<a>&\"}}",
    "{{upper 5}}",
    "{{upper}}",
    "{{join .Name}}",
    "{{.Created}} {{.Image}}",
    "{{range $k, $v := .Config.ExposedPorts}}{{$k}} {{$v}},{{end}}",
    "{{with .Config.Entrypoint}}{{.}}{{else with .Config.Cmd}}{{.}}{{end}}",
]  # fmt: skip
PS = [
    "{{.ID}} {{.Names}}",
    "{{.Image}} {{.Command}}",
    "{{.CreatedAt}} {{.State}} {{.Status}}",
    "{{.Ports}}",
    '{{.Labels}}|{{.Label "tier"}}|{{.Label "nope"}}',
    "{{.Mounts}} {{.LocalVolumes}} {{.Networks}}",
    "{{.Size}}",
    "table {{.ID}}\t{{.Names}}",
    "table {{.ID}}\\t{{.Names}}\\t{{.Status}}\\t{{.Ports}}",
    'table {{.Names}}\t{{.Label "com.example.some-team"}}',
    "table {{upper .Names}}\t{{.Image | lower}}\t{{truncate .ID 3}}",
    'table {{printf "%s/%s" .Names .State}}',
    "json",
    "{{json .Names}}",
    "{{.Foo}}",
    "table {{.Foo}}",
    "{{.Names.Foo}}",
    '{{if eq .State "running"}}{{.Names}}{{end}}',
    '{{range split .Names ""}}{{.}}.{{end}}',
    "{{pad .Names 1 2}}|",
    "raw {{.",
    '{{join (split .Networks ",") "+"}}',
]
IMAGE_LIST = [
    "{{.Repository}}:{{.Tag}}",
    "{{.ID}} {{.Size}} {{.CreatedAt}}",
    "table {{.Repository}}\t{{.Size}}",
    "json",
    "{{.Containers}} {{.SharedSize}} {{.UniqueSize}} {{.VirtualSize}}",
    "{{.Digest}}",
    "{{.Nope}}",
]
ENGINE_VERSION = [
    "{{.Server.Version}}",
    "{{.Server.APIVersion}} {{.Server.MinAPIVersion}}",
    "{{.Server.ApiVersion}}",
    "{{json .Server}}",
    "{{range .Server.Components}}{{.Name}} {{.Version}} {{.Details}}{{end}}",
    "{{.Server.Platform.Name}}|{{.Server.Platform}}",
    "{{.Foo}}",
    "{{if .Server}}there{{end}}",
]
NETWORKS = [
    "{{.Name}} {{.ID}}",
    "{{.Created}}",
    "{{json .}}",
    "{{range .IPAM.Config}}{{.Subnet}}{{end}}",
    "{{range .Containers}}{{.Name}} {{.IPv4Address}}{{end}}",
    '{{index .Options "com.docker.network.bridge.name"}}',
    "{{.IPAM}} {{.Labels}} {{.Options}}",
    "{{.Nope}}",
]
CASES = (
    [("inspect", template, "web") for template in INSPECT]
    + [("container inspect", "{{.Name}}", "web"), ("container inspect", "{{.Id}}", "web")]
    + [("ps", template, "") for template in PS]
    + [("images", template, "") for template in IMAGE_LIST]
    + [("version", template, "") for template in ENGINE_VERSION]
    + [("network inspect", template, "bridge") for template in NETWORKS]
    + [("network ls", template, "") for template in ("{{.Name}} {{.IPv4}}", "json", "{{.No}}")]
)


def test_there_are_enough_templates() -> None:
    """A hundred and more different ones are compared."""
    assert len({(command, template) for command, template, _ in CASES}) > 150


@pytest.mark.parametrize(("command", "template", "target"), CASES)
def test_template_as_docker(
    command: str,
    template: str,
    target: str,
    address: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Output, exit code and complaint of one template are the stock CLI's."""
    monkeypatch.setenv("TZ", "UTC")
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    arguments = [*command.split(), "--format", template, *target.split()]
    expected = subprocess.run(
        [DOCKER, "-H", address, *arguments],
        capture_output=True,
        text=True,
        timeout=30,
        env=os.environ | {"TZ": "UTC"},
        check=False,
    )
    code = entry.main(["-H", address, *arguments])
    shown = capfd.readouterr()
    assert shown.out == expected.stdout
    assert shown.err == expected.stderr
    assert code == expected.returncode
