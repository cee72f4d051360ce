"""Bad input: Docker's status, one clear sentence, never a 500, nothing left behind."""

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from support import http_over_unix
from support.daemon import BUSYBOX, Engine
from support.http_over_unix import Answer

REFUSED = {400, 404, 409, 413, 414, 415, 431}


@pytest.fixture(scope="module", autouse=True)
def _engine_survives(shared_engine: Engine) -> Iterator[None]:
    """Whatever is sent, it is the same daemon in the end."""
    before = shared_engine.pid
    yield
    assert shared_engine.pid == before


# -- commands that can't run -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "code", "text"),
    [
        (("nosuch",), 127, 'exec: "nosuch": executable file not found in $PATH'),
        (("/no/such",), 127, 'exec: "/no/such": stat /no/such: no such file or directory'),
        (("/etc/passwd",), 126, 'exec: "/etc/passwd": permission denied'),
        (("/etc",), 126, 'exec: "/etc":'),
    ],
)
def test_exit_codes_of_commands_that_cannot_run(
    engine: Engine, command: tuple[str, ...], code: int, text: str
) -> None:
    """127 for what is not in the image, 126 for what is no program; the container stays."""
    ran = engine.docker("run", "--name", "bad", "busybox", *command)
    assert text in ran.stderr
    assert ran.returncode == code
    state = engine.inspect("bad")["State"]
    assert (state["Status"], state["ExitCode"]) == ("created", code)
    assert text in state["Error"]


@pytest.mark.parametrize(
    "arguments",
    [("run", "--no-such-flag", "busybox"), ("run", "--memory", "many", "busybox"), ("run",)],
)
def test_125_for_what_the_client_refuses(engine: Engine, arguments: tuple[str, ...]) -> None:
    """A command line that makes no sense never reaches a container: 125 (or 1 for usage)."""
    assert engine.docker(*arguments).returncode in (1, 125)


def test_a_working_directory_that_is_a_file(engine: Engine) -> None:
    """The working directory must be a directory."""
    ran = engine.docker("run", "--rm", "-w", "/etc/passwd", "busybox", "true")
    assert ran.returncode in (125, 126, 127)
    assert "not a directory" in ran.stderr


# -- numbers that only Python would accept ---------------------------------------------------

ARABIC_ZERO = "\u0660"
NOT_NUMBERS = ["1_000", " 7 ", ARABIC_ZERO, "-1", "0x0", "1e3", "99999999999999999999999", "7\n"]


@pytest.mark.stock_differs
@pytest.mark.parametrize("user", [*NOT_NUMBERS, "2147483648", "4294967295", "4294967296", "0:1_0"])
def test_users_that_are_no_numbers(engine: Engine, user: str) -> None:
    """What is not literally a uid is a name, and a name that is not there is an error."""
    answer = engine.api("POST", "/containers/create", body("id", User=user))
    if answer.status == 201:
        container = answer.json["Id"]
        answer = engine.api("POST", f"/containers/{container}/start")
        assert engine.inspect(container)["State"]["Pid"] == 0
    assert answer.status == 400, (user, answer)


@pytest.mark.parametrize("port", [*NOT_NUMBERS, "65536", "80-79", "x"])
def test_ports_that_are_no_numbers(engine: Engine, port: str) -> None:
    """A port is 0 to 65535, on either side."""
    for bad in (
        body("true", HostConfig={"PortBindings": {"80/tcp": [{"HostPort": port}]}}),
        body("true", ExposedPorts={f"{port}/tcp": {}}),
    ):
        answer = engine.api("POST", "/containers/create", bad)
        if answer.status == 201:  # Docker looks at some of them only when it starts
            answer = engine.api("POST", f"/containers/{answer.json['Id']}/start")
            assert answer.status in {*REFUSED, 204, 500 if is_stock(engine) else 400}
        else:
            assert_refused(engine, answer)


@pytest.mark.parametrize("signal", ["1_5", " 9 ", "\u0669", "0x9", "SIGNO", "-9", "999", "TERM\n"])
def test_signals_that_are_none(engine: Engine, signal: str) -> None:
    """A signal is a known name or number."""
    container = engine.docker_ok("run", "-d", "busybox", "sleep", "100")
    answer = engine.api("POST", f"/containers/{container}/kill?signal={quote(signal)}")
    assert answer.status in (400, 500 if is_stock(engine) else 400)
    assert "invalid signal" in answer.message.lower() or is_stock(engine)
    assert engine.inspect(container)["State"]["Running"]


@pytest.mark.parametrize(
    "cpus", ["0-4294967295", "1_0", ARABIC_ZERO, "0,,1", ",".join(["1"] * 300_000)]
)
def test_processor_lists(engine: Engine, cpus: str) -> None:
    """A list of processors that can't be is refused quickly and without much memory."""
    answer = engine.api(
        "POST", "/containers/create", body("true", HostConfig={"CpusetCpus": cpus})
    )
    # Doubled commas and repeats are Go's to accept; nothing may break.
    assert answer.status in {201, *REFUSED}


@pytest.mark.parametrize("size", ["h=-1&w=5", "h=1_0&w=5", "h=x&w=y", "h=99999999999&w=1"])
def test_sizes_of_terminals(engine: Engine, size: str) -> None:
    """A terminal size is two small numbers."""
    container = engine.docker_ok("run", "-dt", "busybox", "sleep", "100")
    answer = engine.api("POST", f"/containers/{container}/resize?{size}")
    assert answer.status in (400, 200 if is_stock(engine) else 400)


# -- names and references --------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["..", "a", "-x", "a b", "a\n", "ab\n127.0.0.1 evil", "x; flush ruleset", "é́", "a/b", "a\0b",
     "\u202eevil", "%2e%2e", "${HOME}", '"', ".hidden", "a" * 5000 + "!"],
)  # fmt: skip
def test_names_that_are_none(engine: Engine, name: str) -> None:
    """Only [a-zA-Z0-9][a-zA-Z0-9_.-]+ is a name, to its last byte."""
    answer = engine.api("POST", f"/containers/create?name={quote(name)}", body("true"))
    assert answer.status == 400
    assert "Invalid container name" in answer.message or "NUL" in answer.message


@pytest.mark.parametrize(
    "reference",
    [
        "..",
        "%2e%2e%2f%2e%2e%2fetc",
        "%00",
        "%2f",
        "a%0a",
        "%ff%fe",
        "x" * 5000,
        "-x",
        "%ef%bd%86",
        "../..",
    ],
)
def test_references_that_lead_nowhere(engine: Engine, reference: str) -> None:
    """A reference is looked up, never joined to a path."""
    for method, verb in (("GET", "/json"), ("POST", "/start"), ("DELETE", ""), ("GET", "/logs")):
        answer = engine.api(method, f"/containers/{reference}{verb}")
        assert answer.status in {301, 405, *REFUSED}, (method, verb, answer)


def test_ambiguous_prefix(engine: Engine) -> None:
    """A prefix of two ids is refused, naming the prefix."""
    made = [engine.create("true") for _ in range(17)]
    first = [container[0] for container in made]
    shared = next(letter for letter in first if first.count(letter) > 1)
    answer = engine.api("GET", f"/containers/{shared}/json")
    assert answer.status == (500 if is_stock(engine) else 400)
    assert answer.message.endswith(f"prefix: {shared}")


# -- versions --------------------------------------------------------------------------------


@pytest.mark.stock_differs
def test_versions_of_the_api(engine: Engine) -> None:
    """Too old and too new are refused with Docker's sentences; no version means the newest."""
    assert engine.api("GET", "/v1.24/containers/json").status == 200
    old = engine.api("GET", "/v0.1/version")
    assert (old.status, "client version 0.1 is too old" in old.message) == (400, True)
    new = engine.api("GET", "/v1.99/version")
    assert (new.status, "client version 1.99 is too new" in new.message) == (400, True)
    bare = http_over_unix.request(engine.socket, "GET", "/version")
    assert bare.json["ApiVersion"] == engine.api_prefix.removeprefix("/v")
    for odd in ("/v1/version", "/vlatest/version", "/v/version"):
        assert engine.api("GET", odd).status in (400, 404), odd


# -- documents -------------------------------------------------------------------------------

DEEP = b'{"Labels":' * 10_000 + b"1" + b"}" * 10_000
BROKEN_DOCUMENTS = {
    "truncated": b'{"Image": "busybox"',
    "not json": b"image=busybox",
    "trailing bytes": b'{"Image": "busybox"} x',
    "a list": b"[]",
    "a text": b'"busybox"',
    "nan": b'{"Image": "busybox", "StopTimeout": NaN}',
    "infinity": b'{"Image": "busybox", "StopTimeout": Infinity}',
    "deep": DEEP,
    "deep lists": b"[" * 100_000,
    "endless number": b'{"StopTimeout": ' + b"9" * 5000 + b"}",
    "byte order mark": b'\xef\xbb\xbf{"Image": "busybox"}',
    "utf-16": '{"Image": "busybox"}'.encode("utf-16"),
    "float for integer": b'{"Image": "busybox", "StopTimeout": 1.5}',
    "bad utf-8": b'{"Image": "busy\xff"}',
    "empty": b"",
}


@pytest.mark.parametrize("kind", BROKEN_DOCUMENTS)
def test_broken_documents(engine: Engine, kind: str) -> None:
    """A body that is not the JSON of the endpoint is refused with the error envelope."""
    container = engine.docker_ok("run", "-d", "busybox", "sleep", "100")
    headers = {"Content-Type": "application/json"}
    targets = ["/containers/create", f"/containers/{container}/exec"]
    for target in targets:
        answer = engine.api("POST", target, BROKEN_DOCUMENTS[kind], headers=headers)
        assert_refused(engine, answer)


def test_documents_as_go_reads_them(engine: Engine) -> None:
    """Keys in another case, null for absent, unknown keys, the last of two: all accepted."""
    document = (
        b'{"image": "nothing:1", "IMAGE": "busybox", "cmd": ["echo", "first"], "Cmd": ["true"],'
        b' "Env": null, "HostConfig": null, "NetworkingConfig": null, "Unheard": {"of": 1}}'
    )
    headers = {"Content-Type": "application/json"}
    answer = engine.api("POST", "/containers/create", document, headers=headers)
    assert answer.status == 201, answer
    assert engine.inspect(answer.json["Id"])["Config"]["Cmd"] == ["true"]


def test_a_body_of_another_kind(engine: Engine) -> None:
    """Only JSON is JSON."""
    headers = {"Content-Type": "text/plain"}
    document = json.dumps(body("true")).encode()
    answer = engine.api("POST", "/containers/create", document, headers=headers)
    assert answer.status in (400, 415)


WRONG = [None, True, 1, -1, 1.5, "x", "", [], {}, [1], [None], {"a": 1}, 1 << 70, "\ud800", "\0"]
FIELDS = {
    "Hostname", "Domainname", "User", "AttachStdin", "ExposedPorts", "Tty", "Env", "Cmd",
    "Healthcheck", "Image", "Volumes", "WorkingDir", "Entrypoint", "Labels", "StopSignal",
    "StopTimeout", "Shell",
}  # fmt: skip
HOST_FIELDS = {
    "Binds", "NetworkMode", "PortBindings", "RestartPolicy", "AutoRemove", "Mounts", "CapAdd",
    "CapDrop", "Dns", "DnsSearch", "ExtraHosts", "GroupAdd", "IpcMode", "PidMode", "Privileged",
    "PublishAllPorts", "ReadonlyRootfs", "SecurityOpt", "Tmpfs", "ShmSize", "Sysctls", "Memory",
    "MemorySwap", "CpuShares", "NanoCpus", "CpusetCpus", "PidsLimit", "Ulimits", "LogConfig",
    "Devices", "Init", "OomScoreAdj", "Runtime", "MaskedPaths", "ReadonlyPaths", "ConsoleSize",
}  # fmt: skip


@pytest.mark.parametrize("field", sorted(FIELDS | HOST_FIELDS))
def test_every_field_with_every_wrong_type(engine: Engine, field: str) -> None:
    """A wrong type is refused or harmless; it is never the engine's own failure."""
    for wrong in WRONG:
        host = {field: wrong} if field in HOST_FIELDS else {}
        top = {} if field in HOST_FIELDS else {field: wrong}
        document = {**body("true", HostConfig=host), **top}
        octets = json.dumps(document).encode()
        answer = engine.api(
            "POST", "/containers/create", octets, headers={"Content-Type": "application/json"}
        )
        expected = {201, 501, *REFUSED} | ({500} if is_stock(engine) else set())
        assert answer.status in expected, (field, wrong, answer)
        if answer.status == 201:
            engine.api("DELETE", f"/containers/{answer.json['Id']}?force=1")
        else:
            assert answer.message


@pytest.mark.parametrize(
    "filters",
    ["{", "[]", "1", '{"status": 1}', '{"status": ["nonsense"]}', '{"colour": ["red"]}',
     '{"exited": ["x"]}', '{"label": {"a": 1}}'],
)  # fmt: skip
def test_filters_that_are_none(engine: Engine, filters: str) -> None:
    """Filters are a JSON map of known keys."""
    for target in ("/containers/json", "/images/json", "/events?until=1"):
        glue = "&" if "?" in target else "?"
        answer = engine.api("GET", f"{target}{glue}filters={quote(filters)}")
        assert answer.status in {200, 400, 404, 500 if is_stock(engine) else 400}, (target, answer)


def test_filters_in_both_forms_and_many(engine: Engine) -> None:
    """The old map form, the list form, and ten thousand values."""
    engine.create("true", Labels={"a": "1"})
    for filters in ({"label": ["a=1"]}, {"label": {"a=1": True}}):
        found = engine.api("GET", f"/containers/json?all=1&filters={quote(json.dumps(filters))}")
        assert len(found.json) == 1
    many = {"id": [f"{n:064x}" for n in range(500)]}
    found = engine.api("GET", f"/containers/json?all=1&filters={quote(json.dumps(many))}")
    assert found.json == []


# -- framing ---------------------------------------------------------------------------------

RAW = {
    "two lengths": b"POST /containers/create HTTP/1.1\r\nHost: d\r\nContent-Length: 2\r\n"
    b"Content-Length: 3\r\n\r\n{}",
    "length and chunks": b"POST /containers/create HTTP/1.1\r\nHost: d\r\nContent-Length: 5\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "negative length": b"POST /containers/create HTTP/1.1\r\nHost: d\r\n"
    b"Content-Length: -1\r\n\r\n",
    "nul in path": b"GET /containers/a\0b/json HTTP/1.1\r\nHost: d\r\n\r\n",
    "huge header": b"GET /_ping HTTP/1.1\r\nHost: d\r\nX: " + b"x" * 2_000_000 + b"\r\n\r\n",
    "huge url": b"GET /" + b"x" * 2_000_000 + b" HTTP/1.1\r\nHost: d\r\n\r\n",
    "no http": b"\x16\x03\x01\x02\0\x01\0",
    "bad version": b"GET /_ping HTTP/9.9\r\nHost: d\r\n\r\n",
    "bad chunk": b"POST /containers/create HTTP/1.1\r\nHost: d\r\n"
    b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
}


@pytest.mark.parametrize("kind", RAW)
def test_ambiguous_framing(engine: Engine, kind: str) -> None:
    """What is no clear HTTP message is refused or the connection ends; the next one works."""
    try:
        received = http_over_unix.exchange(engine.socket, RAW[kind])
    except (BrokenPipeError, ConnectionResetError):
        received = b""
    if received:
        status = int(received.split()[1])
        assert status in {*REFUSED, 404, 501, 505} or is_stock(engine), received[:200]
    assert engine.api("GET", "/_ping").status == 200


# -- what is not there -----------------------------------------------------------------------


def test_swarm_and_plugins(engine: Engine) -> None:
    """A single node is no swarm manager, and has no plugins."""
    answer = engine.api("GET", "/services")
    assert answer.status == 503
    assert answer.message.startswith("This node is not a swarm manager.")
    assert engine.api("GET", "/plugins").json == []


def test_unknown_paths(engine: Engine) -> None:
    """What is no endpoint at all is 404 with the envelope."""
    answer = engine.api("GET", "/no/such/place")
    assert (answer.status, answer.message) == (404, "page not found")


def body(*command: str, **fields: Any) -> dict[str, Any]:
    """A create request."""
    return {"Image": BUSYBOX, "Cmd": list(command), **fields}


def is_stock(engine: Engine) -> bool:
    """Whether this is the original, which is less strict in places."""
    return engine.api_prefix == "/v1.41"


def assert_refused(engine: Engine, answer: Answer) -> None:
    """Refused by the user's fault, with a sentence."""
    allowed = {*REFUSED, 500} if is_stock(engine) else REFUSED
    if is_stock(engine) and answer.status == 201:
        return
    assert answer.status in allowed, answer
    assert answer.message.strip()
