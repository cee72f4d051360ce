"""A build's story as lines, as a picture, and as sentences: from messages, with no engine."""

import io

from wherry.cli.builds.story.plain import Plain
from wherry.cli.builds.story.reports import cause_sentence, critical_path
from wherry.cli.builds.story.screen import lines
from wherry.cli.builds.story.sources import excerpt, warning_lines
from wherry.cli.builds.story.trace import Trace
from wherry.model.build_causes import CauseKind
from wherry.wire.buildkit.control import (
    StatusResponse,
    StepCause,
    Vertex,
    VertexLog,
    VertexWarning,
)
from wherry.wire.buildkit.sources import Position, Range, SourceInfo
from wherry.wire.protobuf import timestamp


def step(
    name: str, began: float, ended: float = 0, *needs: str, error: str = "", cached: bool = False
) -> Vertex:
    """A vertex that is known by its name; times in seconds."""
    return Vertex(
        digest=name,
        name=name,
        inputs=[*needs],
        started=timestamp(int(began * 1e9)),
        completed=timestamp(int(ended * 1e9)) if ended else None,
        error=error,
        cached=cached,
    )


def said(name: str, at: float, text: str) -> StatusResponse:
    """Output of a step."""
    log = VertexLog(vertex=name, timestamp=timestamp(int(at * 1e9)), msg=text.encode())
    return StatusResponse(logs=[log])


def printed(*messages: StatusResponse) -> str:
    """What is printed of messages."""
    out, trace = io.StringIO(), Trace()
    plain = Plain(out)
    for message in messages:
        plain.show(trace.take(message))
    plain.close()
    return out.getvalue()


def test_steps_that_run_at_the_same_time_don_t_mix() -> None:
    """The one that has the word keeps it; what ended meanwhile is told whole."""
    shown = printed(
        StatusResponse(vertexes=[step("a", 10)]),
        said("a", 10.5, "one\nhal"),
        StatusResponse(vertexes=[step("b", 11)]),
        said("b", 11.25, "from b\n"),
        said("a", 111, "f\n"),
        StatusResponse(vertexes=[step("b", 11, 12)]),
        StatusResponse(vertexes=[step("a", 10, 112, error="broke")]),
        StatusResponse(vertexes=[step("c", 112, 112, cached=True)]),
    )
    assert shown == (
        "#1 a\n#1 0.500 one\n#1 101.0 half\n#1 ...\n"
        "\n#2 b\n#2 0.250 from b\n#2 DONE 1.0s\n"
        "\n#1 a\n#1 ERROR: broke\n"
        "\n#3 c\n#3 CACHED\n"
    )


def test_what_waits_is_not_lost() -> None:
    """A build that is broken off has told all that came."""
    shown = printed(
        StatusResponse(vertexes=[step("a", 1), step("b", 1)]),
        said("b", 2, "waiting\n"),
        StatusResponse(vertexes=[step("a", 1, 3, error="context canceled")]),
    )
    assert "#2 1.000 waiting\n" in shown
    assert "#1 CANCELED\n" in shown


def test_a_picture_fits_its_terminal() -> None:
    """Of too many lines, what runs is kept; none is wider than the terminal; output is text."""
    trace = Trace()
    trace.take(StatusResponse(vertexes=[step(f"step {each}", 1, 2) for each in range(30)]))
    trace.take(StatusResponse(vertexes=[step("runs " + "x" * 200, 1)]))
    trace.take(said("runs " + "x" * 200, 2, "\x1b[2Jclear\tme\n"))
    picture = lines(trace, 5.0, 60, 12)
    assert len(picture) <= 11
    assert picture[0] == "[+] Building 4.0s (30/31)"
    assert any(" => runs xxx" in each and each.endswith(" 4.0s") for each in picture)
    assert any(each.startswith("\x1b[2m => => # [2Jclear ") for each in picture)
    assert all(len(each.removeprefix("\x1b[34m").removesuffix("\x1b[0m")) < 65 for each in picture)
    assert len(lines(trace, 5.0, 60, 0)) == 33


def test_the_path_that_the_whole_waited_for() -> None:
    """By what each step needs; by time, where the graph says nothing."""
    trace = Trace()
    trace.take(
        StatusResponse(
            vertexes=[
                step("load", 0, 1),
                step("slow", 1, 6, "load"),
                step("quick", 1, 2, "load"),
                step("last", 6, 7, "quick", "slow"),
                step("export", 7, 8),
            ]
        )
    )
    path = [each.vertex.name for each in critical_path(trace)]
    assert path == ["load", "slow", "last", "export"]


def test_the_lines_around_a_place() -> None:
    """Two on each side, as far as there are; the place is marked."""
    info = SourceInfo(filename="Dockerfile", data=b"1\n2\n3\n4\n5")
    place = Range(start=Position(line=4), end=Position(line=4))
    assert excerpt(info, [place]) == [
        "Dockerfile:4", "-" * 20,
        "   2 |     2", "   3 |     3", "   4 | >>> 4", "   5 |     5", "-" * 20,
    ]  # fmt: skip
    assert excerpt(info, [Range(start=Position(line=9))]) == []
    warning = VertexWarning(short=b"Rule: words (line 4)", detail=[b"More."], url="u")
    assert warning_lines([warning], is_debugging=False) == [
        "", " 1 warning found (use wherry --debug to expand):", " - Rule: words (line 4)",
    ]  # fmt: skip
    assert "More info: u" in warning_lines([warning], is_debugging=True)


def test_every_cause_has_a_sentence() -> None:
    """No kind of cause is told in the words that are left for settings, but they themselves."""
    for kind in CauseKind:
        cause = StepCause(kind=kind.value, subject="S", before="B", now="N")
        is_setting = cause_sentence(cause) == "S: 'B' before, 'N' now"
        assert is_setting == (kind is CauseKind.SETTING), kind
