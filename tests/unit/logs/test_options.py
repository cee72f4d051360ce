"""The options of log drivers: Docker's refusals word by word, and what the rest means."""

import pytest

from wherry.logs.options import DRIVERS, extra_attributes, is_readable, ring_bytes, validate
from wherry.logs.rotation import Rotation, rotation_of
from wherry.logs.tags import TagFields, render_tag
from wherry.logs.targets.fluentd import parse_fluentd
from wherry.logs.targets.splunk import parse_splunk
from wherry.logs.targets.syslog import parse_syslog

GELF = {"gelf-address": "udp://127.0.0.1:12201"}
TCP_GELF = {"gelf-address": "tcp://127.0.0.1:12201"}


@pytest.mark.parametrize(
    ("driver", "options", "sentence"),
    [
        ("awslogs", {}, "logger: no log driver named 'awslogs' is registered"),
        ("json-file", {"mode": "x"}, "logger: logging mode not supported: x"),
        ("json-file", {"max-buffer-size": "1m"},
         "logger: max-buffer-size option is only supported with 'mode=non-blocking'"),
        ("json-file", {"mode": "non-blocking", "max-buffer-size": "x"},
         "error parsing option max-buffer-size: invalid size: 'x'"),
        ("json-file", {"compress": "maybe"},
         'strconv.ParseBool: parsing "maybe": invalid syntax'),
        ("json-file", {"compress": "true", "max-file": "1"},
         "compress cannot be true when max-file is less than 2 or max-size is not set"),
        ("json-file", {"compress": "true", "max-size": "-1"},
         "compress cannot be true when max-file is less than 2 or max-size is not set"),
        ("json-file", {"syslog-address": "x"},
         "unknown log opt 'syslog-address' for json-file log driver"),
        ("local", {"tag": "x"}, "unknown log opt 'tag' for log driver local"),
        ("local", {"max-size": "x"}, "invalid value for max-size: x: invalid size: 'x'"),
        ("local", {"max-file": "1"}, "compression cannot be enabled when max file count is 1"),
        ("local", {"max-file": "-1"}, "max-file must not be negative"),
        ("journald", {"max-size": "1m"}, "unknown log opt 'max-size' for journald log driver"),
        ("syslog", {"address": "x"}, "unknown log opt 'address' for syslog log driver"),
        ("syslog", {"syslog-address": "localhost"},
         "syslog-address should be in form proto://address, got localhost"),
        ("syslog", {"syslog-address": "http://localhost"},
         "syslog-address should be in form proto://address, got http://localhost"),
        ("syslog", {"syslog-address": "unix:///not/there"},
         "stat /not/there: no such file or directory"),
        ("syslog", {"syslog-facility": "local8"}, "invalid syslog facility"),
        ("syslog", {"syslog-facility": "24"}, "invalid syslog facility"),
        ("syslog", {"syslog-format": "rfc1"}, "Invalid syslog format"),
        ("gelf", {}, "gelf-address is a required parameter"),
        ("gelf", {"gelf-address": "localhost:1"},
         "gelf-address should be in form proto://address, got localhost:1"),
        ("gelf", {"gelf-address": "unix:///x"}, "gelf: endpoint needs to be TCP or UDP"),
        ("gelf", {"gelf-address": "udp://localhost"},
         "gelf: please provide gelf-address as proto://host:port"),
        ("gelf", {"gelf-address": "udp://localhost:65536"},
         "gelf: please provide gelf-address as proto://host:port"),
        ("gelf", {**GELF, "size": "1"}, 'unknown log opt "size" for gelf log driver'),
        ("gelf", {**GELF, "gelf-compression-type": "lz4"},
         'unknown value "lz4" for log opt "gelf-compression-type" for gelf log driver'),
        ("gelf", {**GELF, "gelf-compression-level": "10"},
         'unknown value "10" for log opt "gelf-compression-level" for gelf log driver'),
        ("gelf", {**TCP_GELF, "gelf-compression-type": "gzip"},
         "compression is only supported on UDP"),
        ("gelf", {**TCP_GELF, "gelf-tcp-max-reconnect": "-1"},
         'unknown value "-1" for log opt "gelf-tcp-max-reconnect" for gelf log driver'),
        ("fluentd", {"x": "y"}, "unknown log opt 'x' for fluentd log driver"),
        ("fluentd", {"fluentd-async": "x"}, 'strconv.ParseBool: parsing "x": invalid syntax'),
        ("fluentd", {"fluentd-async": "1", "fluentd-async-connect": "1"},
         "conflicting options: cannot specify both 'fluentd-async' and 'fluentd-async-connect'"),
        ("fluentd", {"fluentd-buffer-limit": "x"}, "invalid size: 'x'"),
        ("fluentd", {"fluentd-retry-wait": "1"}, 'time: invalid duration "1"'),
        ("fluentd", {"fluentd-max-retries": "-1"},
         'strconv.ParseUint: parsing "-1": invalid syntax'),
        ("fluentd", {"fluentd-address": "udp://x:1"},
         "invalid fluentd-address udp://x:1: unsupported scheme udp"),
        ("splunk", {"splunk": "x"}, "unknown log opt 'splunk' for splunk log driver"),
        ("syslog", {"cache-max-size": "0"}, "max-size must be a positive number"),
    ],
)  # fmt: skip
def test_refusals(driver: str, options: dict[str, str], sentence: str) -> None:
    """Each is told in Docker's words."""
    with pytest.raises(ValueError) as refused:
        validate(driver, options)
    assert str(refused.value) == sentence


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({}, "splunk: splunk-url is expected"),
        ({"splunk-url": "http://x"}, "splunk: splunk-token is expected"),
        ({"splunk-url": "ftp://x", "splunk-token": "t"},
         "splunk: expected format scheme://dns_name_or_ip:port for splunk-url"),
        ({"splunk-url": "http://x/path", "splunk-token": "t"},
         "splunk: expected format scheme://dns_name_or_ip:port for splunk-url"),
        ({"splunk-url": "http://x", "splunk-token": "t", "splunk-gzip-level": "11"},
         "not supported level '11' for splunk-gzip-level (supported values between -1 and 9)"),
    ],
)  # fmt: skip
def test_what_splunk_needs(options: dict[str, str], sentence: str) -> None:
    """It is checked when the container starts."""
    validate("splunk", options)
    with pytest.raises(ValueError) as refused:
        parse_splunk(options)
    assert str(refused.value) == sentence


def test_the_driver_none_takes_everything() -> None:
    """As in Docker."""
    validate("none", {"whatever": "x"})


def test_addresses() -> None:
    """Defaults for what is left out."""
    assert parse_syslog({"syslog-address": "tcp://logs"}).port == 514
    assert parse_syslog({"syslog-address": "udp://[::1]:99"}).host == "::1"
    assert parse_syslog({"syslog-facility": "local7"}).facility == 23
    assert (parse_fluentd({}).host, parse_fluentd({}).port) == ("127.0.0.1", 24224)
    assert parse_fluentd({"fluentd-address": "logs"}).port == 24224
    assert parse_fluentd({"fluentd-address": "unix:///x"}).path == "/x"


def test_rotation_of_each_driver() -> None:
    """20 MB three times for files, five compressed ones for `local`, a cache for the others."""
    assert rotation_of("json-file", {}) == Rotation(20 << 20, 3)
    assert rotation_of("json-file", {"max-size": "-1", "max-file": "5"}) == Rotation(-1, 1)
    assert rotation_of("local", {}) == Rotation(20 << 20, 5, is_compressed=True)
    assert rotation_of("gelf", {**GELF, "cache-max-file": "2"}) == Rotation(20 << 20, 2)


def test_how_far_receivers_may_lag() -> None:
    """As far as the files go, or a megabyte, or what was said."""
    assert ring_bytes({}) is None
    assert ring_bytes({"mode": "non-blocking"}) == 1 << 20
    assert ring_bytes({"mode": "non-blocking", "max-buffer-size": "4m"}) == 4 << 20


def test_what_can_be_read() -> None:
    """All but nothing and what is not cached."""
    assert [each for each in DRIVERS if not is_readable(each, {})] == ["none"]
    assert not is_readable("gelf", {"cache-disabled": "true"})


def test_attributes() -> None:
    """By name and by pattern, of labels and of the environment."""
    found = extra_attributes(
        {"labels": "a,missing", "labels-regex": "^b", "env": "X", "env-regex": "Y$"},
        labels={"a": "1", "bb": "2", "c": "3"},
        environment={"X": "4", "XY": "5", "Z": "6"},
    )
    assert found == {"X": "4", "XY": "5", "a": "1", "bb": "2"}


FIELDS = TagFields(
    container_id="0123456789abcdef",
    name="web",
    image_id="sha256:fedcba9876543210",
    image_name="nginx",
    command="nginx -g",
    labels={"team": "blue"},
    options={},
)


@pytest.mark.parametrize(
    ("template", "tag"),
    [
        ("{{.ID}}", "0123456789ab"),
        ("{{ .ImageName }}/{{.Name}}", "nginx/web"),
        ("{{.DaemonName}}-{{.FullID}}", "docker-0123456789abcdef"),
        ("{{.Name | upper}}", "WEB"),
        ("{{lower .Command}}", "nginx -g"),
        ('{{index .ContainerLabels "team"}}', "blue"),
        ("{{.ImageFullID}}", "sha256:fedcba9876543210"),
        ("plain", "plain"),
    ],
)
def test_tags(template: str, tag: str) -> None:
    """Fields, labels, and a change of case."""
    assert render_tag(template, FIELDS) == tag


@pytest.mark.parametrize("template", ["{{.Nope}}", "{{nope .Name}}", "{{if .Name}}x{{end}}", "{{"])
def test_tags_that_are_refused(template: str) -> None:
    """What is not understood is named, not left out."""
    with pytest.raises(ValueError, match="template: log-tag"):
        render_tag(template, FIELDS)
