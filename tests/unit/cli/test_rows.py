"""What lists say of ports, names, sizes and ages."""

import time

import pytest

from wherry.cli.containers.listing import container_columns, displayed_ports
from wherry.cli.durations import local_time, moment_query
from wherry.cli.images.listing import image_columns
from wherry.cli.images.references import parse_reference, with_default_tag, without_digest
from wherry.cli.rows import columns_used
from wherry.client.documents import Document


def port(private: int, public: int = 0, address: str = "", kind: str = "tcp") -> Document:
    """A port as the API lists it."""
    return {"PrivatePort": private, "PublicPort": public, "IP": address, "Type": kind}


@pytest.mark.parametrize(
    ("ports", "shown"),
    [
        ([], ""),
        ([port(80)], "80/tcp"),
        ([port(81), port(80)], "80-81/tcp"),
        ([port(80, 8080, "0.0.0.0")], "0.0.0.0:8080->80/tcp"),
        ([port(80, 80, "::"), port(81, 81, "::")], "[::]:80-81->80-81/tcp"),
        ([port(80), port(82)], "80/tcp, 82/tcp"),
        ([port(53, 5353, "1.2.3.4", "udp"), port(53)], "53/tcp, 1.2.3.4:5353->53/udp"),
    ],
)
def test_ports(ports: list[Document], shown: str) -> None:
    """Neighbours are drawn together; those that moved stand last."""
    assert displayed_ports(ports) == shown


def test_names_of_links_are_hidden() -> None:
    """A name below another container's is shown only in full lists."""
    row: Document = {"Names": ["/web/db", "/db"]}
    for truncates, names in ((True, "db"), (False, "web/db,db")):
        columns = {each.name: each for each in container_columns(truncates=truncates).columns}
        assert columns["Names"].text(row) == names


def test_columns_that_a_template_needs_are_known_beforehand() -> None:
    """Sizes are asked of the engine only when a template shows them."""
    blank: Document = {}
    columns = container_columns(truncates=True)
    assert columns_used(columns, blank, "table {{.Names}} {{.Size}}") == {"Names", "Size"}
    assert image_columns(truncates=True).type_name == "formatter.imageContext"


def test_moments() -> None:
    """Unix time stays, spans count back from now, stamps are converted."""
    assert moment_query("1700000000.5") == "1700000000.5"
    assert moment_query("2023-11-14T22:13:20Z") == "1700000000.000000000"
    assert abs(float(moment_query("10m")) - (time.time() - 600)) < 5
    with pytest.raises(ValueError):
        moment_query("yesterday")


@pytest.mark.parametrize(
    ("text", "familiar"),
    [
        ("busybox", "busybox:latest"),
        ("docker.io/library/busybox:1", "busybox:1"),
        ("a/b", "a/b:latest"),
        ("localhost/x", "localhost/x:latest"),
        ("reg:5000/a/b:v1", "reg:5000/a/b:v1"),
        ("x@sha256:" + "a" * 64, "x@sha256:" + "a" * 64),
    ],
)
def test_references(text: str, familiar: str) -> None:
    """What people write, and its whole form."""
    assert with_default_tag(text) == familiar


@pytest.mark.parametrize("text", ["", "A", "a:b:c", "a//b", "a@sha256:12", "f" * 64, "a" * 300])
def test_bad_references(text: str) -> None:
    """What names no image."""
    with pytest.raises(ValueError):
        parse_reference(text)


def test_digests_are_hidden_behind_tags() -> None:
    """A reference with both shows its tag."""
    assert without_digest("x:1@sha256:" + "a" * 64) == "x:1"
    assert without_digest("not a reference") == "not a reference"


@pytest.mark.parametrize(
    ("zone", "shown"),
    [
        ("UTC", "2023-11-14T22:13:20.000000005Z"),
        ("XXX-1:30", "2023-11-14T23:43:20.000000005+01:30"),
        ("XXX+5", "2023-11-14T17:13:20.000000005-05:00"),
    ],
)
def test_local_times(zone: str, shown: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Events are stamped in the reader's zone."""
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        assert local_time(1_700_000_000_000_000_005) == shown
    finally:
        monkeypatch.undo()
        time.tzset()
