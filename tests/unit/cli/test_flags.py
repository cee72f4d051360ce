"""Flags are read, and refused, as pflag does."""

import pytest

from wherry.cli.flags import (
    DURATION,
    FILTER,
    INT,
    LIST,
    STRING,
    STRINGS,
    SWITCH,
    UINT16,
    Flag,
    FlagError,
    HelpWanted,
    Kind,
    filters_of,
    flag_lines,
    parse,
)
from wherry.kit.durations import read_duration

FLAGS = (
    Flag("all", SWITCH, "All", short="a"),
    Flag("tty", SWITCH, "Terminal", short="t"),
    Flag("name", STRING, "Name", short="n"),
    Flag("publish", LIST, "Ports", short="p"),
    Flag("last", INT, "Last"),
    Flag("weight", UINT16, "Weight"),
    Flag("every", DURATION, "Every"),
    Flag("filter", FILTER, "Filter", short="f"),
    Flag("explain", Kind("string", str, without_value="text"), "Explain"),
    Flag("sig-proxy", SWITCH, "Proxy", default="true"),
)


@pytest.mark.parametrize(
    ("line", "values", "rest"),
    [
        ("-at x", {"all": True, "tty": True}, ["x"]),
        ("-p8080:80 -p=1:1 -p 2", {"publish": ["8080:80", "1:1", "2"]}, []),
        ("--name=a=b --name c", {"name": "c"}, []),
        ("-an web", {"all": True, "name": "web"}, []),
        ("x -a y", {"all": True}, ["x", "y"]),
        ("-a -- -t", {"all": True}, ["-t"]),
        ("- x", {}, ["-", "x"]),
        ("--all=false", {"all": False}, []),
        ("--last 0x10", {"last": 16}, []),
        ("--last=-1", {"last": -1}, []),
        ("--every 1m30s", {"every": 90 * 10**9}, []),
        ("--explain x", {"explain": "text"}, ["x"]),
        ("--explain=json x", {"explain": "json"}, ["x"]),
        ("--name ''", {"name": "''"}, []),
    ],
)
def test_forms(line: str, values: dict[str, object], rest: list[str]) -> None:
    """Long, short, clustered, joined and repeated flags."""
    parsed = parse(line.split(), FLAGS)
    assert parsed.values == values
    assert parsed.arguments == rest


def test_flags_of_the_inner_command_are_left_alone() -> None:
    """Not interspersed, the first argument ends the flags."""
    parsed = parse(["-t", "busybox", "ls", "-a"], FLAGS, interspersed=False)
    assert parsed.values == {"tty": True}
    assert parsed.arguments == ["busybox", "ls", "-a"]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("--nope", "unknown flag: --nope"),
        ("-atZ", "unknown shorthand flag: 'Z' in -Z"),
        ("--name", "flag needs an argument: --name"),
        ("-an", "flag needs an argument: 'n' in -n"),
        ("--=x", "bad flag syntax: --=x"),
        (
            "--all=maybe",
            'invalid argument "maybe" for "-a, --all" flag: '
            'strconv.ParseBool: parsing "maybe": invalid syntax',
        ),
        (
            "--last x",
            'invalid argument "x" for "--last" flag: '
            'strconv.ParseInt: parsing "x": invalid syntax',
        ),
        (
            "--weight 65536",
            'invalid argument "65536" for "--weight" flag: '
            'strconv.ParseUint: parsing "65536": value out of range',
        ),
        (
            "-f x",
            'invalid argument "x" for "-f, --filter" flag: '
            "bad format of filter (expected name=value)",
        ),
        (
            "--every 5",
            'invalid argument "5" for "--every" flag: time: missing unit in duration "5"',
        ),
    ],
)
def test_complaints(line: str, problem: str) -> None:
    """Each mistake has pflag's sentence."""
    with pytest.raises(FlagError) as caught:
        parse(line.split(), FLAGS)
    assert str(caught.value) == problem


@pytest.mark.parametrize("line", ["--help", "-h", "x --help", "-ah"])
def test_help(line: str) -> None:
    """Help is wanted wherever it stands among the flags."""
    with pytest.raises(HelpWanted):
        parse(line.split(), FLAGS)


def test_values_apart_by_commas() -> None:
    """Of a flag that takes several at once; in quotes a comma is none."""
    flags = [Flag("os", STRINGS, "")]
    parsed = parse(["--os", "a,b", "--os=", '--os="c,d",e'], flags)
    assert parsed.texts("os") == ["a", "b", "c,d", "e"]
    with pytest.raises(FlagError, match='invalid argument ""a"b" for "--os" flag'):
        parse(['--os="a"b'], flags)


def test_filters_collect_by_name() -> None:
    """Names fold to lower case; values keep theirs."""
    parsed = parse(["-f", "Name=A", "--filter", "name=b", "-f", "label=k=v"], FLAGS)
    assert filters_of(parsed) == {"name": ["A", "b"], "label": ["k=v"]}


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [("0", 0), ("1h", 3600 * 10**9), ("1.5s", 15 * 10**8), ("-2ms", -2 * 10**6),
     ("1h1ns", 3600000000001)],
)  # fmt: skip
def test_durations(text: str, nanoseconds: int) -> None:
    """Go's spans of time."""
    assert read_duration(text) == nanoseconds


@pytest.mark.parametrize("text", ["", "x", "5", "1d", "s", ".s", "1h x"])
def test_bad_durations(text: str) -> None:
    """What Go refuses."""
    with pytest.raises(ValueError, match="time: "):
        read_duration(text)


def test_help_is_two_columns_wide() -> None:
    """Names align, usage wraps at the terminal's width, and defaults are told."""
    lines = flag_lines(FLAGS, width=40)
    assert lines[0] == "  -a, --all              All"
    assert any("(default" in line for line in lines)
    assert all(len(line) <= 40 + 12 for line in lines)
