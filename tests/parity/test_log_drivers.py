"""Log drivers, with the stock client and receivers of their protocols."""

import contextlib
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support import receivers
from support.daemon import Engine
from support.waiting import wait_until

pytestmark = pytest.mark.stock_differs

SAY = ("busybox", "sh", "-c", "echo to out; echo to err >&2")


def run(engine: Engine, driver: str, options: dict[str, str], *command: str, name: str = "says",
        flags: tuple[str, ...] = ()) -> str:  # fmt: skip
    """Run a container with a log driver to its end; its id."""
    words = ["run", "--name", name, "--log-driver", driver, *flags]
    for key, value in options.items():
        words += ["--log-opt", f"{key}={value}"]
    ran = engine.docker(*words, *(command or SAY))
    assert ran.returncode == 0, ran.stderr
    return str(engine.inspect(name)["Id"])


def is_readable(engine: Engine, name: str = "says") -> None:
    """`docker logs` works with each driver."""
    said = engine.docker("logs", name)
    assert (said.stdout, said.stderr) == ("to out\n", "to err\n")


# -- syslog ----------------------------------------------------------------------------------

FORMATS = {
    "": rb"<30>\w{3} [ \d]\d [\d:]{8} TAG\[\d+\]: to out\n",
    "rfc3164": rb"<30>\w{3} [ \d]\d [\d:]{8} \S+ TAG\[\d+\]: to out\n",
    "rfc5424": rb"<30>1 [\d-]+T[\d:]+(Z|[+-][\d:]+) \S+ TAG \d+ TAG - to out\n",
    "rfc5424micro": rb"<30>1 [\d-]+T[\d:]+\.\d{6}(Z|[+-][\d:]+) \S+ TAG \d+ TAG - to out\n",
}


@pytest.mark.parametrize("form", FORMATS)
def test_syslog_formats(engine: Engine, form: str) -> None:
    """Each format over UDP: priority by stream, time, tag."""
    options = {"syslog-address": "udp://127.0.0.1:5514", "tag": "TAG"}
    if form:
        options["syslog-format"] = form
    with receivers.udp(engine.machine, 5514) as taker:
        run(engine, "syslog", options)
        assert re.fullmatch(FORMATS[form], taker.wait_for(b"to out"))
        assert taker.wait_for(b"to err").startswith(b"<27>")
    is_readable(engine)


def test_syslog_over_tcp(engine: Engine) -> None:
    """Lines on a connection, with a facility and a default tag of the id's twelve digits."""
    options = {"syslog-address": "tcp://127.0.0.1:5515", "syslog-facility": "local3"}
    with receivers.tcp(engine.machine, 5515) as taker:
        container = run(engine, "syslog", options)
        lines = taker.wait_for(b"to err\n").splitlines()
    assert len(lines) == 2
    assert {line[:5] for line in lines} == {b"<158>", b"<155>"}
    assert f"{container[:12]}[".encode() in lines[0]


@pytest.mark.parametrize("kind", [socket.SOCK_DGRAM, socket.SOCK_STREAM])
def test_syslog_at_a_unix_socket(engine: Engine, kind: socket.SocketKind) -> None:
    """Both kinds of Unix sockets."""
    path = engine.root / "log.sock"
    with receivers.unix(path, kind) as taker:
        run(engine, "syslog", {"syslog-address": f"unix://{path}"})
        taker.wait_for(b"to err\n")


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 that signs itself: `key.pem` and `cert.pem`."""
    directory = tmp_path_factory.mktemp("certificates")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj",
         "/CN=receiver", "-addext", "subjectAltName=IP:127.0.0.1,DNS:receiver", "-keyout",
         "key.pem", "-out", "cert.pem"],
        cwd=directory, check=True, capture_output=True,
    )  # fmt: skip
    return directory


def _server_context(certificates: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates / "cert.pem", certificates / "key.pem")
    return context


def test_syslog_over_tls(engine: Engine, certificates: Path) -> None:
    """RFC 5425 framing under a certificate that is verified, or not accepted."""
    options = {
        "syslog-address": "tcp+tls://127.0.0.1:6514",
        "syslog-format": "rfc5424",
        "syslog-tls-ca-cert": str(certificates / "cert.pem"),
    }
    context = _server_context(certificates)
    with receivers.tcp(engine.machine, 6514, context=context) as taker:
        run(engine, "syslog", options)
        size, _blank, packet = taker.wait_for(b"to err\n").partition(b" ")
        assert packet[: int(size)].endswith(b"\n")
        del options["syslog-tls-ca-cert"]
        refused = _refusal(engine, "syslog", options)
        assert "certificate verify failed" in refused
        run(engine, "syslog", {**options, "syslog-tls-skip-verify": "true"}, name="trusting")


def test_syslog_to_rsyslog(engine: Engine) -> None:
    """Debian's rsyslogd takes what we send over UDP and TCP and writes it to its file."""
    if shutil.which("rsyslogd") is None:
        pytest.skip("rsyslogd is not installed")
    directory = engine.root / "rsyslog"
    directory.mkdir()
    log, configuration = directory / "all.log", directory / "rsyslog.conf"
    configuration.write_text(
        'module(load="imudp")\nmodule(load="imtcp")\n'
        'input(type="imudp" port="5516" address="127.0.0.1")\n'
        'input(type="imtcp" port="5516" address="127.0.0.1")\n'
        f'*.* action(type="omfile" file="{log}")\n'
    )
    command = engine.machine.command(
        "rsyslogd", "-n", "-f", str(configuration), "-i", str(directory / "pid"),
    )  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as daemon:
        try:
            wait_until("rsyslogd listens", lambda: _listens(engine, 5516))
            for proto in ("udp", "tcp"):
                options = {"syslog-address": f"{proto}://127.0.0.1:5516", "tag": f"by-{proto}",
                           "syslog-format": "rfc5424micro"}  # fmt: skip
                run(engine, "syslog", options, name=proto)
                wait_until(
                    f"it has what came over {proto}",
                    lambda proto=proto: (
                        log.exists()  # type: ignore[misc]
                        and re.search(rf"by-{proto}\S* to err", log.read_text()) is not None
                    ),
                )
        finally:
            for pid in (directory / "pid").read_text().split():
                engine.machine.run("kill", pid)
            daemon.wait(timeout=10)
    shutil.rmtree(directory)


def _listens(engine: Engine, port: int) -> bool:
    with contextlib.suppress(OSError):
        engine.machine.connect("127.0.0.1", port).close()
        return True
    return False


# -- GELF ------------------------------------------------------------------------------------


@pytest.mark.parametrize("compression", ["gzip", "zlib", "none"])
def test_gelf_over_udp(engine: Engine, compression: str) -> None:
    """One document per line, whole or in chunks, with the container's facts."""
    options = {"gelf-address": "udp://127.0.0.1:12201", "gelf-compression-type": compression,
               "labels": "team", "env": "STAGE", "tag": "{{.Name}}"}  # fmt: skip
    flags = ("--label", "team=blue", "-e", "STAGE=test")
    script = "echo short; head -c 6000 /dev/urandom | base64 -w 0; echo; echo last >&2"
    with receivers.udp(engine.machine, 12201) as taker:
        container = run(engine, "gelf", options, "busybox", "sh", "-c",
                        script.replace("-w 0", "| tr -d '\\n'"), flags=flags)  # fmt: skip
        wait_until("three documents", lambda: len(receivers.gelf_documents(taker.packets)) == 3)
        documents = receivers.gelf_documents(taker.packets)
    by_text = {each["short_message"][:5]: each for each in documents}
    assert len(max((each["short_message"] for each in documents), key=len)) == 8000
    short = by_text["short"]
    assert (short["version"], short["level"], by_text["last"]["level"]) == ("1.1", 6, 3)
    assert (short["_container_id"], short["_container_name"]) == (container, "says")
    assert (short["_team"], short["_STAGE"], short["_tag"]) == ("blue", "test", "says")
    assert short["_command"].startswith("sh -c echo short")


def test_gelf_over_tcp(engine: Engine) -> None:
    """Documents with a zero byte behind each."""
    with receivers.tcp(engine.machine, 12202) as taker:
        run(engine, "gelf", {"gelf-address": "tcp://127.0.0.1:12202"})
        taker.wait_for(b"to err")
        wait_until("both are whole", lambda: taker.received.count(b"\0") == 2)
    documents = [json.loads(each) for each in taker.received.split(b"\0")[:-1]]
    assert {each["short_message"] for each in documents} == {"to out", "to err"}
    is_readable(engine)


# -- fluentd ---------------------------------------------------------------------------------


def _entries(received: bytes) -> list[tuple[Any, dict[str, str]]]:
    return [
        (moment, record)
        for message in receivers.forward_messages(received)
        for moment, record in message[1]
    ]


def test_fluentd(engine: Engine) -> None:
    """Tag, time in seconds and a record of texts."""
    options = {"fluentd-address": "127.0.0.1:24224", "tag": "app.{{.Name}}", "labels-regex": "^te"}
    with receivers.tcp(engine.machine, 24224) as taker:
        container = run(engine, "fluentd", options, flags=("--label", "team=blue"))
        wait_until("both came", lambda: len(_entries(taker.received)) == 2)
    assert receivers.forward_messages(taker.received)[0][0] == "app.says"
    moment, record = _entries(taker.received)[0]
    assert isinstance(moment, int)
    assert record["container_id"] == container
    assert record["container_name"] == "/says"
    assert record["team"] == "blue"
    assert {(each["source"], each["log"]) for _at, each in _entries(taker.received)} == {
        ("stdout", "to out"),
        ("stderr", "to err"),
    }


def test_fluentd_with_acknowledgements(engine: Engine) -> None:
    """Chunks are acknowledged, times have nanoseconds, long lines come in marked pieces."""
    options = {"fluentd-address": "tcp://127.0.0.1:24225", "fluentd-request-ack": "true",
               "fluentd-sub-second-precision": "true"}  # fmt: skip
    script = "head -c 40000 /dev/zero | tr '\\0' x; echo; echo end"
    with receivers.tcp(engine.machine, 24225, answer=receivers.acknowledge) as taker:
        run(engine, "fluentd", options, "busybox", "sh", "-c", script)
        wait_until(
            "all came", lambda: any(r["log"] == "end" for _t, r in _entries(taker.received))
        )
    entries = _entries(taker.received)
    assert all(isinstance(moment, bytes) and len(moment) == 8 for moment, _record in entries)
    pieces = [record for _moment, record in entries if "partial_message" in record]
    assert [each["partial_ordinal"] for each in pieces] == ["1", "2", "3"]
    assert [each["partial_last"] for each in pieces] == ["false", "false", "true"]
    assert len({each["partial_id"] for each in pieces}) == 1
    assert "".join(each["log"] for each in pieces) == "x" * 40000


def test_fluentd_that_is_not_there(engine: Engine) -> None:
    """Without it the container does not start; with `fluentd-async` it does, and catches up."""
    refused = _refusal(engine, "fluentd", {"fluentd-address": "127.0.0.1:24226"})
    sentence = "dial tcp 127.0.0.1:24226: connect: connection refused"
    assert refused.endswith(f"failed to initialize logging driver: {sentence}")
    options = {"fluentd-address": "127.0.0.1:24226", "fluentd-async": "true"}
    run(engine, "fluentd", options, "busybox", "sh", "-c", "echo early; sleep 1000",
        flags=("-d",))  # fmt: skip
    wait_until("it has spoken", lambda: engine.docker("logs", "says").stdout == "early\n")
    with receivers.tcp(engine.machine, 24226) as taker:
        taker.wait_for(b"early", within_s=30)


def _place(engine: Engine, name: str = "says") -> dict[str, Any]:
    """How far its receiver was fed."""
    file = engine.data_root / "containers" / engine.inspect(name)["Id"] / "logger.json"
    return dict(json.loads(file.read_text())) if file.exists() else {"dropped": 0}


def _delivery(engine: Engine, name: str = "says") -> dict[str, Any]:
    """The same, as people see it."""
    return dict(engine.inspect(name)["LogDelivery"])


@pytest.mark.parametrize(
    ("driver", "options"),
    [
        ("fluentd", {"fluentd-address": "127.0.0.1:24227", "fluentd-async": "true",
                     "fluentd-max-retries": "10", "fluentd-retry-wait": "10ms"}),
        ("fluentd", {"fluentd-address": "127.0.0.1:24227", "fluentd-async": "true",
                     "fluentd-buffer-limit": "1"}),
    ],
)  # fmt: skip
def test_fluentd_gives_up(engine: Engine, driver: str, options: dict[str, str]) -> None:
    """After so many tries, and with so many events waiting, what is said is lost and counted.

    With Docker's own wait of a second ten tries would take 47 s.
    """
    run(engine, driver, options, "busybox", "sh", "-c", "echo a; echo b; sleep 1000",
        flags=("-d",))  # fmt: skip
    wait_until("lines are dropped", lambda: _delivery(engine)["Dropped"] > 0)
    assert engine.docker_ok("logs", "says") == "a\nb"
    refused = "dial tcp 127.0.0.1:24227: connect: connection refused"
    assert _delivery(engine)["Problem"] == refused
    told = f"{_delivery(engine)['Dropped']}, which takes nothing now: {refused}"
    assert f"not delivered to fluentd: {told}" in engine.wherry("why", "says").stdout
    read = engine.wherry("logs", "says")
    assert read.stdout == "a\nb\n"
    assert read.stderr == f"(lines that were not delivered to the log driver's receiver: {told})\n"


def test_fluentd_discards_at_the_end(engine: Engine) -> None:
    """With `fluentd-async` nobody waits for a receiver once the container has ended."""
    options = {"fluentd-address": "127.0.0.1:24228", "fluentd-async": "true",
               "fluentd-retry-wait": "100ms"}  # fmt: skip
    run(engine, "fluentd", options)
    wait_until("the rest is given up", lambda: _place(engine)["dropped"] == 2, within_s=8)


def test_gelf_gives_up(engine: Engine) -> None:
    """`gelf-tcp-max-reconnect`: the receiver has gone, and a line is tried as often as that.

    With our own growing pauses the twenty would take more than a minute.
    """
    options = {"gelf-address": "tcp://127.0.0.1:12203", "gelf-tcp-max-reconnect": "20",
               "gelf-tcp-reconnect-delay": "0"}  # fmt: skip
    script = "read line; while :; do echo again; sleep 0.1; done"
    with receivers.tcp(engine.machine, 12203):
        run(engine, "gelf", options, "busybox", "sh", "-c", f"echo | {{ {script}; }}",
            flags=("-d",))  # fmt: skip
    wait_until("lines are dropped", lambda: _place(engine)["dropped"] > 0)


# -- splunk ----------------------------------------------------------------------------------


@contextlib.contextmanager
def collector(
    engine: Engine, port: int, context: ssl.SSLContext | None = None
) -> Iterator[receivers.Collector]:
    """An event collector inside the engine's machine."""
    taker = receivers.Collector(engine.machine.listen("127.0.0.1", port), context)
    try:
        yield taker
    finally:
        taker.close()


@pytest.mark.parametrize("form", ["inline", "json", "raw"])
def test_splunk(engine: Engine, form: str) -> None:
    """Events with the token, in each format, compressed or not."""
    options = {
        "splunk-url": "http://127.0.0.1:8088",
        "splunk-token": "secret",
        "splunk-format": form,
        "splunk-index": "main",
        "splunk-gzip": "true" if form == "json" else "false",
        "tag": "T",
        "env": "STAGE",
    }
    with collector(engine, 8088) as taker:
        run(engine, "splunk", options, "busybox", "echo", '{"a": 1}', flags=("-e", "STAGE=test"))
        wait_until("the event came", lambda: len(taker.events()) == 1)
    (event,) = taker.events()
    expected: dict[str, Any] = {
        "inline": {"line": '{"a": 1}', "source": "stdout", "tag": "T", "attrs": {"STAGE": "test"}},
        "json": {"line": {"a": 1}, "source": "stdout", "tag": "T", "attrs": {"STAGE": "test"}},
        "raw": 'T STAGE=test {"a": 1}',
    }
    assert event["event"] == expected[form]
    assert event["index"] == "main"
    method, path, headers, _content = taker.requests[0]
    assert (method, path) == ("OPTIONS", "/services/collector/event/1.0")
    assert headers["authorization"] == "Splunk secret"


def test_splunk_over_tls(engine: Engine, certificates: Path) -> None:
    """The certificate is verified by the file that was given, and by the name."""
    options = {
        "splunk-url": "https://127.0.0.1:8089",
        "splunk-token": "secret",
        "splunk-capath": str(certificates / "cert.pem"),
        "splunk-caname": "receiver",
    }
    with collector(engine, 8089, _server_context(certificates)) as taker:
        run(engine, "splunk", options)
        wait_until("the events came", lambda: len(taker.events()) == 2)
        refused = _refusal(engine, "splunk", {**options, "splunk-caname": "other"})
        assert "certificate" in refused


# -- journald --------------------------------------------------------------------------------


def test_journald(engine: Engine) -> None:
    """Entries of the native protocol; without a journal the container does not start."""
    refused = _refusal(engine, "journald", {})
    if "journald is not enabled" not in refused:
        pytest.skip("this host has a journal of its own")
    directory = Path("/run/systemd/journal")
    script = (
        "import os, socket, sys\n"
        f"os.makedirs('{directory}', exist_ok=True)\n"
        "s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n"
        f"s.bind('{directory}/socket')\n"
        "print('ready', flush=True)\n"
        "while True: sys.stdout.buffer.write(s.recv(1 << 16) + b'--\\n'); sys.stdout.flush()\n"
    )
    command = engine.machine.command("/usr/bin/python3", "-c", script)
    with subprocess.Popen(command, stdout=subprocess.PIPE) as listener:
        assert listener.stdout is not None
        try:
            assert listener.stdout.readline() == b"ready\n"
            container = run(engine, "journald", {"tag": "T", "labels": "my.team"},
                            flags=("--label", "my.team=blue"))  # fmt: skip
            entries = []
            for _ in range(2):
                lines = iter(listener.stdout.readline, b"--\n")
                entries.append(dict(line.rstrip(b"\n").split(b"=", 1) for line in lines))
        finally:
            engine.machine.run("sh", "-c", f"rm {directory}/socket")
            _end(engine, listener)
    by_message = {entry[b"MESSAGE"]: entry for entry in entries}
    out = by_message[b"to out"]
    assert (out[b"PRIORITY"], by_message[b"to err"][b"PRIORITY"]) == (b"6", b"3")
    assert out[b"CONTAINER_ID_FULL"].decode() == container
    assert (out[b"CONTAINER_NAME"], out[b"SYSLOG_IDENTIFIER"]) == (b"says", b"T")
    assert out[b"MY_TEAM"] == b"blue"
    is_readable(engine)


def _end(engine: Engine, process: "subprocess.Popen[bytes]") -> None:
    process.kill()
    for pid in engine.machine.processes():
        with contextlib.suppress(OSError):
            if b"s.bind" in Path(f"/proc/{pid}/cmdline").read_bytes():
                os.kill(pid, 9)
    process.wait(timeout=10)


# -- all of them -----------------------------------------------------------------------------


def _refusal(engine: Engine, driver: str, options: dict[str, str]) -> str:
    """Why a container with this driver does not start; nothing of it stays."""
    words = [each for key, value in options.items() for each in ("--log-opt", f"{key}={value}")]
    refused = engine.docker("run", "--rm", "--log-driver", driver, *words, "busybox", "true")
    assert refused.returncode == 125
    return refused.stderr.splitlines()[0]


@pytest.mark.parametrize(
    ("driver", "options", "sentence"),
    [
        ("syslog", {"syslog-address": "tcp://127.0.0.1:1"},
         "dial tcp 127.0.0.1:1: connect: connection refused"),
        ("gelf", {"gelf-address": "tcp://127.0.0.1:1"},
         "gelf: cannot connect to GELF endpoint: 127.0.0.1:1 dial tcp 127.0.0.1:1: connect: "
         "connection refused"),
        ("splunk", {"splunk-url": "http://127.0.0.1:1"}, "splunk: splunk-token is expected"),
        ("splunk", {"splunk-url": "http://127.0.0.1:1", "splunk-token": "x"},
         'Options "http://127.0.0.1:1/services/collector/event/1.0": Connection refused'),
        ("json-file", {"tag": "{{.Nope}}"},
         'template: log-tag: executing "log-tag" at <.Nope>: can\'t evaluate field Nope'),
    ],
)  # fmt: skip
def test_receivers_that_are_not_there(
    engine: Engine, driver: str, options: dict[str, str], sentence: str
) -> None:
    """Where Docker's driver wants its receiver at once, the container does not start."""
    assert f"failed to initialize logging driver: {sentence}" in _refusal(engine, driver, options)


@pytest.mark.parametrize(
    ("driver", "options"),
    [
        ("syslog", {"syslog-address": "udp://127.0.0.1:1"}),
        ("gelf", {"gelf-address": "udp://127.0.0.1:1"}),
        ("splunk", {"splunk-url": "http://127.0.0.1:1", "splunk-token": "x",
                    "splunk-verify-connection": "false"}),
    ],
)  # fmt: skip
def test_receivers_that_need_not_be_there(
    engine: Engine, driver: str, options: dict[str, str]
) -> None:
    """Datagrams into nowhere, and what is told not to be verified: the container runs."""
    run(engine, driver, options)
    is_readable(engine)


def test_a_receiver_that_stops_reading(engine: Engine) -> None:
    """The container writes on at its own speed; what falls off is counted and told."""
    listening = engine.machine.listen("127.0.0.1", 5517)
    options = {"syslog-address": "tcp://127.0.0.1:5517", "mode": "non-blocking",
               "max-buffer-size": "64k"}  # fmt: skip
    script = "i=0; while [ $i -lt 400 ]; do head -c 20000 /dev/zero | tr '\\0' x; echo; "
    with listening:
        run(engine, "syslog", options, "busybox", "sh", "-c", script + "i=$((i+1)); done")
        place = engine.data_root / "containers" / engine.inspect("says")["Id"] / "logger.json"
        wait_until(
            "it has given up the rest",
            lambda: place.exists() and json.loads(place.read_text())["dropped"] > 0,
            within_s=40,
        )
    assert engine.docker_ok("logs", "says").count("\n") + 1 == 400
    assert "logger.dropped" in engine.log_tail()


def test_a_logger_is_replaced(engine: Engine) -> None:
    """A killed logger has a successor that goes on at its place, also after the daemon's end."""
    script = "i=0; while :; do echo line $i; i=$((i+1)); sleep 0.05; done"
    with receivers.tcp(engine.machine, 5518) as taker:
        options = {"syslog-address": "tcp://127.0.0.1:5518", "tag": "T"}
        run(engine, "syslog", options, "busybox", "sh", "-c", script, flags=("-d",))
        taker.wait_for(b": line 5\n")
        for _ in range(2):
            _kill_logger(engine)
            wanted = taker.received.count(b"\n") + 5
            wait_until(
                "lines come again",
                lambda wanted=wanted: taker.received.count(b"\n") > wanted,  # type: ignore[misc]
                within_s=20,
            )
            engine.kill9()
            engine.start()
        engine.docker_ok("rm", "-f", "says")
        numbers = [int(each) for each in re.findall(rb": line (\d+)\n", taker.received)]
    # At least once each, in order but for what was sent and not noted.
    assert sorted(set(numbers)) == list(range(max(numbers) + 1))
    assert len(numbers) - len(set(numbers)) < 100


def _kill_logger(engine: Engine) -> None:
    for pid in engine.machine.processes():
        with contextlib.suppress(OSError):
            if b"wherry-logger" in Path(f"/proc/{pid}/cmdline").read_bytes():
                os.kill(pid, 9)


def test_attributes_in_the_file(engine: Engine) -> None:
    """json-file keeps labels, variables and the tag with each line; `--details` shows them."""
    options = {"labels": "team", "env-regex": "^ST", "tag": "{{.ImageName}}/{{.Name}}"}
    run(engine, "json-file", options, "busybox", "echo", "x",
        flags=("--label", "team=blue", "-e", "STAGE=test"))  # fmt: skip
    line = json.loads(Path(engine.inspect("says")["LogPath"]).read_text())
    assert line["attrs"] == {"STAGE": "test", "tag": "busybox/says", "team": "blue"}
    assert engine.docker_ok("logs", "--details", "says") == (
        "STAGE=test,tag=busybox%2Fsays,team=blue x"
    )


def test_local(engine: Engine) -> None:
    """The driver `local` is readable and shows no path."""
    run(engine, "local", {"max-size": "1m", "max-file": "2"})
    is_readable(engine)
    assert engine.inspect("says")["LogPath"] == ""


def test_a_log_that_is_not_kept(engine: Engine) -> None:
    """`cache-disabled`: only the receiver has it."""
    options = {"gelf-address": "udp://127.0.0.1:1", "cache-disabled": "true"}
    run(engine, "gelf", options)
    refused = engine.docker("logs", "says")
    assert "configured logging driver does not support reading" in refused.stderr


def test_compressed_files(engine: Engine) -> None:
    """`compress`: full files end in `.gz`; `logs` reads through all of them, also following."""
    options = {"max-size": "50k", "max-file": "100", "compress": "true"}
    script = "i=0; while [ $i -lt 8000 ]; do echo line $i; i=$((i+1)); done"
    container = engine.docker_ok(
        "create", "--name", "says", "--log-opt", "max-size=50k", "--log-opt", "max-file=100",
        "--log-opt", "compress=true", "busybox", "sh", "-c", script,
    )  # fmt: skip
    with subprocess.Popen(
        ["docker", "start", "-a", container], env=engine.environment, stdout=subprocess.DEVNULL
    ):
        followed = engine.docker_ok("logs", "-f", container).splitlines()
    directory = Path(engine.inspect("says")["LogPath"]).parent
    assert len(list(directory.glob("*.gz"))) > 5
    wanted = [f"line {number}" for number in range(8000)]
    assert engine.docker_ok("logs", container).splitlines() == wanted
    assert followed == wanted[: len(followed)]
    assert engine.docker_ok("logs", "--tail", "3", container).splitlines() == wanted[-3:]
    assert engine.inspect("says")["HostConfig"]["LogConfig"]["Config"] == options
