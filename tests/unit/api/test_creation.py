"""What a creation request may ask for, and what it is told when it may not."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wherry.api.translate.creation import to_container_spec
from wherry.api.translate.inspection import to_config, to_host_config
from wherry.model.containers import BindMount, ContainerSpec, TmpfsMount, VolumeMount
from wherry.model.errors import FeatureMissing, InvalidValue
from wherry.model.networks import NetworkMode, NetworkModeKind, Port, PortBinding
from wherry.wire.container_config import CreateRequest
from wherry.wire.encoding import to_document
from wherry.wire.lenient import Decoder

decoder = Decoder(CreateRequest)


def spec_of(**fields: Any) -> ContainerSpec:
    """The spec of a request with an image and these fields."""
    return to_container_spec(decoder.decode(json.dumps({"Image": "busybox", **fields}).encode()))


def host_spec(**fields: Any) -> ContainerSpec:
    """The spec of a request with these fields of the HostConfig."""
    return spec_of(HostConfig=fields)


def test_the_neutral_request_asks_for_nothing() -> None:
    """What the stock CLI sends for `docker run busybox` is all defaults."""
    spec = spec_of(
        Hostname="", AttachStdout=True, AttachStderr=True, Env=None, Cmd=None, Volumes={},
        OnBuild=None, Labels={}, Entrypoint=None,
        HostConfig={
            "Binds": None, "LogConfig": {"Type": "", "Config": {}}, "NetworkMode": "default",
            "PortBindings": {}, "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0},
            "ConsoleSize": [0, 0], "Dns": [], "BlkioDeviceReadBps": [], "Devices": [],
            "MemorySwappiness": -1, "OomKillDisable": False, "PidsLimit": 0, "Ulimits": [],
            "MaskedPaths": None, "ReadonlyPaths": None, "Isolation": "", "Cgroup": "",
        },
        NetworkingConfig={"EndpointsConfig": {"default": {"IPAMConfig": None, "Links": None,
                                                          "GwPriority": 0, "MacAddress": ""}}},
    )  # fmt: skip
    assert spec.image == "busybox"
    assert spec.entrypoint is None
    assert spec.command is None
    assert spec.mounts == ()
    assert spec.limits.pids is None
    assert spec.network.mode == NetworkMode()


def test_everything_of_part_one() -> None:
    """Each field arrives where it belongs."""
    spec = spec_of(
        Cmd="single", Entrypoint=["/e"], Env=["A=b"], WorkingDir="/w", User="1:2", Hostname="h",
        Domainname="d", Labels={"l": "m"}, Tty=True, OpenStdin=True, StdinOnce=True,
        StopSignal="SIGINT", StopTimeout=3, ExposedPorts={"90/udp": {}, "80": {}},
        HostConfig={
            "NetworkMode": "none", "AutoRemove": True, "Init": True, "ReadonlyRootfs": True,
            "ShmSize": 1048576, "Sysctls": {"net.x": "1"}, "OomScoreAdj": 5, "Memory": 1 << 23,
            "CgroupParent": "/p", "NanoCpus": 5, "CpuShares": 6, "CpusetCpus": "0",
            "PidsLimit": 7, "Ulimits": [{"Name": "nofile", "Soft": 1, "Hard": 2}],
            "CapAdd": ["net_admin"], "CapDrop": ["ALL"], "GroupAdd": ["g"], "Privileged": True,
            "SecurityOpt": ["no-new-privileges:true", "seccomp=unconfined"], "PidMode": "host",
            "IpcMode": "container:x", "UTSMode": "", "CgroupnsMode": "private",
            "Annotations": {"a": "b"}, "ConsoleSize": [24, 80],
            "LogConfig": {"Type": "json-file", "Config": {"max-size": "1m"}},
            "MaskedPaths": [], "ReadonlyPaths": ["/proc/x"],
        },
    )  # fmt: skip
    assert (spec.command, spec.entrypoint) == (("single",), ("/e",))
    assert spec.terminal.is_tty
    assert spec.terminal.closes_stdin_after_first
    assert (spec.terminal.rows, spec.terminal.columns) == (24, 80)
    assert (spec.stop_signal, spec.stop_timeout_s) == ("SIGINT", 3)
    assert spec.network.exposed == (Port(90, "udp"), Port(80))
    assert spec.network.mode.kind is NetworkModeKind.NONE
    assert spec.security.no_new_privileges
    assert spec.security.seccomp == "unconfined"
    assert (spec.security.masked_paths, spec.security.read_only_paths) == ((), ("/proc/x",))
    assert (spec.limits.pids, spec.limits.cpu_nanos, spec.limits.cpuset_cpus) == (7, 5, "0")
    assert spec.log.options == {"max-size": "1m"}


@pytest.mark.parametrize(
    ("fields", "feature"),
    [
        ({"Shell": ["/bin/bash"]}, "Config.Shell"),
    ],
)
def test_what_is_not_there_is_named(fields: dict[str, Any], feature: str) -> None:
    """Nothing is accepted and then ignored."""
    with pytest.raises(FeatureMissing) as missing:
        spec_of(**fields)
    assert feature in missing.value.feature


@pytest.mark.parametrize(
    ("host", "sentence"),
    [
        ({"ShmSize": -1}, "SHM size can not be less than 0"),
        ({"OomScoreAdj": 2000}, "Invalid value 2000, range for oom score adj is [-1000, 1000]"),
        ({"PidMode": "foo"}, "invalid PID mode: foo"),
        ({"IpcMode": "foo"}, "invalid IPC mode: foo"),
        ({"IpcMode": "container:"}, "invalid IPC mode: container:"),
        ({"UTSMode": "foo"}, "invalid UTS mode: foo"),
        ({"CgroupnsMode": "foo"}, "invalid cgroup namespace mode: foo"),
        ({"NetworkMode": "container:"},
         "invalid network mode: invalid container format container:<name|id>"),
        ({"SecurityOpt": ["foo"]}, 'invalid --security-opt 1: "foo"'),
        ({"SecurityOpt": ["foo=bar"]}, 'invalid --security-opt 2: "foo=bar"'),
        ({"ExtraHosts": ["foo"]}, 'bad format for add-host: "foo"'),
        ({"ExtraHosts": ["foo:bar"]}, 'invalid IP address in add-host: "bar"'),
        ({"ExtraHosts": ["a\nb:1.2.3.4"]}, 'bad format for add-host: "a\nb:1.2.3.4"'),
        ({"Dns": ["x"]}, "invalid IP address: x"),
        ({"PortBindings": {"80/tcp": [{"HostPort": "a"}]}}, 'invalid port specification: "a"'),
        ({"PortBindings": {"80/tcp": [{"HostPort": "70000"}]}},
         'invalid port specification: "70000"'),
        ({"PortBindings": {"80/tcp": [{"HostPort": "1_0"}]}},
         'invalid port specification: "1_0"'),
        ({"PortBindings": {"80/tcp": [{"HostPort": " 80"}]}},
         'invalid port specification: " 80"'),
        ({"PortBindings": {"80/tcp": [{"HostPort": "٨٠"}]}},
         'invalid port specification: "٨٠"'),
        ({"PortBindings": {"80/tcp": [{"HostPort": "90-80"}]}},
         'invalid port specification: "90-80"'),
        ({"PortBindings": {"x/tcp": [{"HostPort": "80"}]}}, 'invalid port specification: "x"'),
        ({"PortBindings": {"80/foo": [{"HostPort": "80"}]}}, "invalid proto: foo"),
        ({"PortBindings": {"80": [{"HostIp": "x"}]}}, "invalid IP address: x"),
        ({"RestartPolicy": {"Name": "foo"}},
         "invalid restart policy: unknown policy 'foo'; use one of 'no', 'always', "
         "'on-failure', or 'unless-stopped'"),
        ({"AutoRemove": True, "RestartPolicy": {"Name": "always"}},
         "can't create 'AutoRemove' container with restart policy"),
        ({"LogConfig": {"Type": "json-file", "Config": {"a": "b"}}},
         "unknown log opt 'a' for json-file log driver"),
        ({"Isolation": "foo"}, "invalid isolation: \"foo\" - linux only supports 'default'"),
        ({"ConsoleSize": [1, 70000]}, "invalid console size: [1, 70000]"),
        ({"ConsoleSize": [1]}, "invalid console size: [1]"),
        ({"NetworkMode": "container:x", "Dns": ["1.1.1.1"]},
         "conflicting options: dns and the network mode"),
        ({"NetworkMode": "container:x", "PublishAllPorts": True},
         "conflicting options: port publishing and the container type network mode"),
    ],
)  # fmt: skip
def test_docker_sentences_for_the_host(host: dict[str, Any], sentence: str) -> None:
    """What is wrong is said as Docker says it."""
    with pytest.raises(InvalidValue) as refusal:
        host_spec(**host)
    assert refusal.value.sentence == sentence


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"WorkingDir": "foo"},
         "the working directory 'foo' is invalid, it needs to be an absolute path"),
        ({"StopSignal": "FOO"}, "invalid signal: FOO"),
        ({"Hostname": "a b"}, "invalid hostname format: a b"),
        ({"Hostname": "a\n"}, "invalid hostname format: a\n"),
        ({"Hostname": "x" * 65}, f"invalid hostname format: {'x' * 65}"),
        ({"ExposedPorts": {"99999": {}}}, 'invalid port specification: "99999"'),
        ({"ExposedPorts": {"0/tcp": {}}}, 'invalid port specification: "0"'),
        ({"MacAddress": "x"}, "invalid MAC address x"),
        ({"Hostname": "h", "HostConfig": {"NetworkMode": "container:x"}},
         "conflicting options: hostname and the network mode"),
        ({"Hostname": "h", "HostConfig": {"UTSMode": "host"}},
         "conflicting options: hostname and the UTS mode"),
    ],
)  # fmt: skip
def test_docker_sentences_for_the_rest(fields: dict[str, Any], sentence: str) -> None:
    """As above."""
    with pytest.raises(InvalidValue) as refusal:
        spec_of(**fields)
    assert refusal.value.sentence == sentence


@pytest.mark.parametrize("body", [b"{}", b'{"Image":""}', b'{"Unknown":1}', b'{"HostConfig":{}}'])
def test_an_empty_request(body: bytes) -> None:
    """A body that says nothing."""
    with pytest.raises(InvalidValue, match="config cannot be empty"):
        to_container_spec(decoder.decode(body))


# -- mounts ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "mount"),
    [
        ("/a:/b", BindMount(source="/a", target="/b", creates_source=True, written_as="/a:/b")),
        ("/a:/b:ro", BindMount(source="/a", target="/b", is_read_only=True, creates_source=True,
                               written_as="/a:/b:ro")),
        ("/a:/b:rw,rslave,z", BindMount(source="/a", target="/b", propagation="rslave",
                                        creates_source=True, written_as="/a:/b:rw,rslave,z")),
        ("data:/b", VolumeMount(name="data", target="/b", mode="z", written_as="data:/b")),
        ("data:/b:ro,nocopy", VolumeMount(name="data", target="/b", is_read_only=True,
                                          copies_image=False, mode="ro,nocopy",
                                          written_as="data:/b:ro,nocopy")),
    ],
)  # fmt: skip
def test_volume_texts(text: str, mount: BindMount | VolumeMount) -> None:
    """`-v` with a host path is a bind mount that makes its source, with a name a volume."""
    assert host_spec(Binds=[text]).mounts == (mount,)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a", "invalid volume specification: 'a': invalid mount config for type \"volume\": "
              "invalid mount path: 'a' mount path must be absolute"),
        ("/a:b", "invalid volume specification: '/a:b': invalid mount config for type \"bind\": "
                 "invalid mount path: 'b' mount path must be absolute"),
        ("/a:/b:zz", "invalid mode: zz"),
        ("/a:/b:ro,rw", "invalid mode: ro,rw"),
        ("/a:/b:ro,ro", "invalid mode: ro,ro"),
        ("/a:/", "invalid volume specification: '/a:/': invalid mount config for type \"bind\": "
                 "invalid specification: destination can't be '/'"),
        ("ab:/b:rshared", "invalid volume specification: 'ab:/b:rshared': invalid mount config "
                          "for type \"volume\": field BindOptions must not be specified"),
        ("/a:/b:/c:/d", "invalid volume specification: '/a:/b:/c:/d'"),
        (":/b", "invalid volume specification: ':/b'"),
        ("", "invalid volume specification: ''"),
        ("/b:ro", "invalid volume specification: '/b:ro'"),
        ("/b:", "invalid volume specification: '/b:'"),
        ("/a:/b:nocopy", "invalid volume specification: '/a:/b:nocopy': invalid mount config for "
                         "type \"bind\": field VolumeOptions must not be specified"),
    ],
)  # fmt: skip
def test_bad_volume_texts(text: str, sentence: str) -> None:
    """The grammar of `-v`, and Docker's sentences."""
    with pytest.raises(InvalidValue) as refusal:
        host_spec(Binds=[text])
    assert refusal.value.sentence == sentence


@pytest.mark.parametrize(
    ("mount", "problem"),
    [
        ({"Type": "foo", "Target": "/x"}, "mount type unknown"),
        ({"Type": "bind", "Target": "/x"}, "field Source must not be empty"),
        ({"Type": "bind", "Source": "tmp", "Target": "/x"},
         "invalid mount path: 'tmp' mount path must be absolute"),
        ({"Type": "bind", "Source": "/tmp", "Target": "x"},
         "invalid mount path: 'x' mount path must be absolute"),
        ({"Type": "bind", "Source": "/tmp"}, "field Target must not be empty"),
        ({"Type": "bind", "Source": "/tmp", "Target": "/"},
         "invalid specification: destination can't be '/'"),
        ({"Type": "tmpfs", "Source": "/tmp", "Target": "/x"},
         "field Source must not be specified"),
        ({"Type": "bind", "Source": "/tmp", "Target": "/x",
          "BindOptions": {"Propagation": "foo"}}, "invalid propagation mode: foo"),
        ({"Type": "bind", "Source": "/tmp", "Target": "/x", "VolumeOptions": {}},
         "field VolumeOptions must not be specified"),
        ({"Type": "bind", "Source": "/tmp", "Target": "/x", "ImageOptions": {"Subpath": "a"}},
         "field ImageOptions must not be specified"),
        ({"Type": "tmpfs", "Target": "/x", "TmpfsOptions": {"Options": [["size", "1k"]]}},
         "invalid option: size"),
        ({"Type": "tmpfs", "Target": "/x", "TmpfsOptions": {"Options": [[]]}},
         "invalid option array length"),
    ],
)  # fmt: skip
def test_bad_mount_objects(mount: dict[str, Any], problem: str) -> None:
    """`--mount`, and Docker's sentences."""
    with pytest.raises(InvalidValue) as refusal:
        host_spec(Mounts=[mount])
    assert refusal.value.sentence == (
        f'invalid mount config for type "{mount["Type"]}": {problem}'
    )


def test_temporary_file_systems() -> None:
    """By `--tmpfs` and by `--mount`."""
    spec = host_spec(
        Tmpfs={"/run": "size=1m"},
        Mounts=[{"Type": "tmpfs", "Target": "/t", "ReadOnly": True,
                 "TmpfsOptions": {"SizeBytes": 5, "Mode": 0o700, "Options": [["noexec"]]}}],
    )  # fmt: skip
    assert spec.mounts == (
        TmpfsMount(target="/t", size_bytes=5, mode=0o700, options="noexec,ro",
                   from_mount_flag=True),
        TmpfsMount(target="/run", options="size=1m"),
    )  # fmt: skip


# -- ports -----------------------------------------------------------------------------------


def test_port_bindings() -> None:
    """One, several, a range to choose from, an address, any port."""
    spec = host_spec(
        PortBindings={
            "80/tcp": [{"HostPort": "8080"}, {"HostIp": "127.0.0.1", "HostPort": ""}],
            "53/UDP": [{"HostPort": "8000-8010"}],
            "90/tcp": None,
        }
    )
    assert spec.network.bindings == (
        PortBinding(port=Port(80), host_port=8080),
        PortBinding(port=Port(80), host_address="127.0.0.1"),
        PortBinding(port=Port(53, "udp"), host_port=8000, host_port_end=8010),
    )


# -- and back --------------------------------------------------------------------------------

words = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=8)
paths = words.map(lambda word: f"/{word}")
port_texts = st.integers(1, 65535).map(str)

host_fields = st.fixed_dictionaries(
    {},
    optional={
        "Binds": st.lists(st.tuples(paths, paths).map(":".join), min_size=1, max_size=2),
        "PortBindings": st.dictionaries(
            port_texts.map(lambda text: f"{text}/tcp"),
            st.lists(st.builds(lambda text: {"HostIp": "", "HostPort": text}, port_texts),
                     min_size=1, max_size=2),
            max_size=2,
        ),
        "NetworkMode": st.sampled_from(["bridge", "host", "none", "container:x", "net"]),
        "AutoRemove": st.booleans(),
        "CapAdd": st.lists(words, min_size=1, max_size=2),
        "Privileged": st.booleans(),
        "ReadonlyRootfs": st.booleans(),
        "ShmSize": st.integers(0, 1 << 40),
        "Memory": st.integers(0, 1 << 40),
        "MemorySwap": st.integers(1, 1 << 40),
        "NanoCpus": st.integers(0, 1 << 40),
        "PidsLimit": st.integers(1, 1000),
        "Tmpfs": st.dictionaries(paths, words, min_size=1, max_size=2),
        "Sysctls": st.dictionaries(words, words, min_size=1, max_size=2),
        "Annotations": st.dictionaries(words, words, min_size=1, max_size=2),
        "Init": st.booleans(),
        "MaskedPaths": st.lists(paths, max_size=2),
        "ReadonlyPaths": st.lists(paths, max_size=2),
        "Mounts": st.lists(
            st.fixed_dictionaries({"Type": st.just("bind"), "Source": paths, "Target": paths},
                                  optional={"ReadOnly": st.just(True)}),
            min_size=1, max_size=2),
    },
)  # fmt: skip

config_fields = st.fixed_dictionaries(
    {},
    optional={
        "User": words,
        "Domainname": words,
        "Tty": st.booleans(),
        "OpenStdin": st.booleans(),
        "Env": st.lists(words.map(lambda word: f"{word}=x"), max_size=2),
        "Cmd": st.lists(words, max_size=2),
        "Entrypoint": st.lists(words, min_size=1, max_size=2),
        "WorkingDir": paths,
        "Labels": st.dictionaries(words, words, max_size=2),
        "StopTimeout": st.integers(-1, 100),
    },
)


@given(config_fields, host_fields)
def test_what_was_asked_is_shown_again(config: dict[str, Any], host: dict[str, Any]) -> None:
    """Inspection gives back what creation took."""
    if host.get("NetworkMode") == "container:x":
        host = {key: value for key, value in host.items() if key != "PortBindings"}
    spec = spec_of(**config, HostConfig=host)
    shown, shown_host = to_document(to_config(spec)), to_document(to_host_config(spec))
    assert {key: shown[key] for key in config} == config
    assert {key: shown_host[key] for key in host} == host
