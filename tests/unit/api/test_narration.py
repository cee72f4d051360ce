"""From a builder's events to what BuildKit's clients are told, and what our own hears beside."""

from typing import Annotated

import pytest

from support.fake_clock import FakeClock
from wherry.api.buildkit.narration import Narrator, canonical
from wherry.api.buildkit.stories import Story
from wherry.model.build_causes import CauseKind, StepCause, StepWhy
from wherry.model.builds import (
    BaseFound,
    BaseSought,
    BuildDone,
    BuildWarned,
    DockerfileFound,
    StageSkipped,
    StepEnded,
    StepPlanned,
    StepStarted,
)
from wherry.model.errors.builds import StepEndedBadly
from wherry.model.errors.images import ImageNotFound
from wherry.wire.buildkit.control import StatusResponse, Vertex
from wherry.wire.protobuf import Message, decode, encode


class StatusOfOthers(Message):
    """What a client knows that is not ours."""

    vertexes: Annotated[list[Vertex], 1] = []


def planned(number: int, label: str, stage: str = "0", *needs: int, **more: object) -> StepPlanned:
    """A step; those that copy or run are shown."""
    fields = {"platform": "", "base": "", "line": number, "is_metadata": False, **more}
    return StepPlanned(
        number=number,
        label=label,
        stage=stage,
        needs=needs,
        is_trigger=False,
        **fields,  # type: ignore[arg-type]
    )


def told(*events: object) -> tuple[Narrator, list[StatusResponse]]:
    """A narrator that was told of events, and what it tells."""
    story = Story("ref", FakeClock(1_000_000_000))
    narrator = Narrator(story)
    for event in events:
        narrator.tell(event)  # type: ignore[arg-type]
    return narrator, story.take()


WHY = StepWhy(causes=(StepCause(kind=CauseKind.FILE_CHANGED, subject="a"),), more=3)
STORY = (
    DockerfileFound(name="Dockerfile", content=b"FROM a\nENV\nRUN x\n"),
    BaseSought(reference="busybox", platform=""),
    BaseFound(),
    planned(0, "FROM busybox AS made", "made", base="busybox"),
    planned(1, "ENV A=1", "made", 0, is_metadata=True),
    planned(2, "RUN  make \\\n all", "made", 1),
    planned(3, "FROM made", "1", 2, is_metadata=True),
    planned(4, "COPY a /", "1", 3),
    StageSkipped(name="spare", line=9),
    *(StepStarted(number=number) for number in range(5)),
    StepEnded(number=2, was_cached=True),
    StepEnded(number=4, why=WHY, layer_bytes=7),
    BuildDone(image_id="sha256:e", names=("one",)),
)


def test_names_and_needs_of_steps() -> None:
    """Places are counted by stage; what is not shown hands on what it stands on."""
    _narrator, responses = told(*STORY)
    vertices = {each.digest: each for response in responses for each in response.vertexes}
    names = [each.name for each in vertices.values()]
    assert names == [
        "[internal] load metadata for docker.io/library/busybox:latest",
        "[made 1/2] FROM docker.io/library/busybox:latest",
        "[made 2/2] RUN make \\ all",
        "[stage-1 1/1] COPY a /",
        "exporting to image",
    ]
    by_name = {each.name: each for each in vertices.values()}
    below = {name: [vertices[key].name for key in each.inputs] for name, each in by_name.items()}
    assert below["[made 2/2] RUN make \\ all"] == [names[1]]
    assert below["[stage-1 1/1] COPY a /"] == [names[2]]


def test_what_others_skip() -> None:
    """Reports go beside the vertices, in fields that another client's messages don't have."""
    _narrator, responses = told(*STORY)
    reports = [each for response in responses for each in response.reports]
    assert [(each.stage, each.was_cached, each.bytes, each.more) for each in reports] == [
        ("made", True, 0, 0),
        ("stage-1", False, 7, 3),
    ]
    assert [(each.kind, each.subject) for each in reports[1].causes] == [("file-changed", "a")]
    assert [each.name for response in responses for each in response.skipped] == ["spare"]
    for response in responses:
        theirs = decode(StatusOfOthers, encode(response))
        assert theirs.vertexes == response.vertexes


@pytest.mark.parametrize(
    ("error", "line"),
    [(StepEndedBadly("make", 2), 2), (ImageNotFound("x"), 0)],
    ids=["of a step", "of no line"],
)
def test_where_a_build_failed(error: Exception, line: int) -> None:
    """The lines are told with the file, where it is known which."""
    ended = [StepEnded(number=2, error=error)] if line else []
    narrator, _before = told(*STORY[:9], *STORY[9:12], *ended)
    narrator.tell_failure(error)
    failures = [each for response in narrator.story.take() for each in response.failures]
    found = [each.start.line for failure in failures for each in failure.ranges if each.start]
    assert found == ([line] if line else [])


def test_a_warning_of_a_check() -> None:
    """It has the rule's name, its line and the file, as buildx prints them."""
    warned = BuildWarned(text="words", line=2, last_line=3, rule="Rule", description="d", url="u")
    _narrator, responses = told(STORY[0], warned)
    (warning,) = [each for response in responses for each in response.warnings]
    assert (warning.short, warning.detail, warning.url) == (b"Rule: words (line 2)", [b"d"], "u")
    (place,) = warning.ranges
    assert place.start is not None
    assert place.end is not None
    assert (place.start.line, place.end.line) == (2, 3)
    assert warning.info is not None
    assert warning.info.filename == "Dockerfile"


@pytest.mark.parametrize(
    ("name", "full"),
    [
        ("busybox", "docker.io/library/busybox:latest"),
        ("r.test:5000/a:1", "r.test:5000/a:1"),
        ("a/b@sha256:" + "0" * 64, "docker.io/a/b@sha256:" + "0" * 64),
    ],
)
def test_full_names(name: str, full: str) -> None:
    """A name with its registry, and its tag or digest."""
    assert canonical(name) == full
