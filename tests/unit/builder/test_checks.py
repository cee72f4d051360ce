"""Build checks that look at a Dockerfile's text, each by a file that breaks it."""

import pytest

from wherry.builder.checks.meaning import base_findings, meaning_findings
from wherry.builder.checks.policy import read_policy
from wherry.builder.checks.rules import RULES
from wherry.builder.checks.writing import Source, writing_findings
from wherry.builder.dockerfile import parse
from wherry.builder.planning import Base, PlannedStep
from wherry.builder.solver import Vertex
from wherry.images import BuildState
from wherry.kit.path_patterns import Ignore
from wherry.model.errors import InvalidValue
from wherry.oci.image_spec import ImageDocument

JSON_CMD = (
    "JSON arguments recommended for CMD to prevent unintended behavior related to OS signals"
)
CASES = {
    "StageNameCasing": ("FROM busybox AS Base\n", "Stage name 'Base' should be lowercase", 1),
    "FromAsCasing": ("FROM busybox as b\n", "'as' and 'FROM' keywords' casing do not match", 1),
    "NoEmptyContinuation": ("FROM busybox\nEXPOSE \\\n\n80\n", "Empty continuation line", 2),
    "ConsistentInstructionCasing": (
        "FROM busybox\nRUN true\nrun true\n",
        "Command 'run' should match the case of the command majority (uppercase)",
        3,
    ),
    "DuplicateStageName": (
        "FROM busybox AS b\nFROM busybox AS b\n",
        'Duplicate stage name "b", stage names should be unique',
        2,
    ),
    "ReservedStageName": (
        "FROM busybox AS context\n",
        'Stage name should not use the same name as reserved stage "context"',
        1,
    ),
    "JSONArgsRecommended": ("FROM busybox\nCMD echo $x\n", JSON_CMD, 2),
    "MaintainerDeprecated": (
        "FROM busybox\nMAINTAINER me\n",
        "Maintainer instruction is deprecated in favor of using label",
        2,
    ),
    "UndefinedArgInFrom": (
        "ARG VARIANT=latest\nFROM busybox:${VARIENT:-latest}$VARIENT\n",
        "FROM argument 'VARIENT' is not declared (did you mean VARIANT?)",
        2,
    ),
    "MultipleInstructionsDisallowed": (
        'FROM busybox\nCMD ["a"]\nCMD ["b"]\nFROM busybox\nCMD ["c"]\n',
        "Multiple CMD instructions should not be used in the same stage because only the last "
        "one will be used",
        2,
    ),
    "LegacyKeyValueFormat": (
        "FROM busybox\nENV key some value\nLABEL a=b\n",
        '"ENV key=value" should be used instead of legacy "ENV key value" format',
        2,
    ),
    "RedundantTargetPlatform": (
        "FROM --platform=$TARGETPLATFORM busybox\n",
        "Setting platform to predefined $TARGETPLATFORM in FROM is redundant as this is the "
        "default behavior",
        1,
    ),
    "FromPlatformFlagConstDisallowed": (
        "FROM --platform=linux/amd64 busybox\nFROM --platform=linux/amd64 busybox AS b_amd64\n",
        'FROM --platform flag should not use constant value "linux/amd64"',
        1,
    ),
    "SecretsUsedInArgOrEnv": (
        "FROM busybox\nARG MONKEY\nENV PUBLIC_KEY=a API_TOKEN=b\n",
        'Do not use ARG or ENV instructions for sensitive data (ENV "API_TOKEN")',
        3,
    ),
    "InvalidDefaultArgInFrom": (
        "ARG BASE\nFROM ${BASE}\n",
        "Default value for ARG ${BASE} results in empty or invalid base image name",
        2,
    ),
    "InvalidDefinitionDescription": (
        "# check=experimental=all\n\n# a base\nFROM busybox AS base\n# base it is\n"
        "FROM busybox AS base2\n\n# notes\n\nARG a\n# a what it is\nARG a\n",
        "Comment for FROM should follow the format: `# base <description>`",
        4,
    ),
    "ExposeProtoCasing": (
        "FROM busybox\nEXPOSE 80/TcP\n",
        "Defined protocol '80/TcP' in EXPOSE instruction should be lowercase",
        2,
    ),
    "ExposeInvalidFormat": (
        "FROM busybox\nEXPOSE 127.0.0.1:80:80 81\n",
        "EXPOSE instruction should not define an IP address or host-port mapping, found "
        "'127.0.0.1:80:80'",
        2,
    ),
}
"""For each rule a file that breaks it once, beside what does not: what is said, and the line."""
TWICE = "InvalidDefinitionDescription"
"""The rule that its case breaks in two places."""

LATER = {"InvalidBaseImagePlatform", "UndefinedVar", "WorkdirRelativePath", "CopyIgnoredFile"}
"""Rules that need to know more than the text."""


@pytest.mark.parametrize("rule", CASES)
def test_a_rule(rule: str) -> None:
    """It is broken once by its own case, beside what keeps it; told with its words and line."""
    text, detail, line = CASES[rule]
    source = Source(parse(text.encode()))
    found = [*writing_findings(source), *base_findings(source, {"TARGETPLATFORM": "linux/amd64"})]
    mine = [each for each in found if each.rule.name == rule]
    assert len(mine) == (2 if rule == TWICE else 1), found
    assert (mine[0].detail, mine[0].first_line) == (detail, line)


def test_every_rule_has_a_case() -> None:
    """All of them, here or where a build is planned; each has a page of its own."""
    assert CASES.keys() | LATER == RULES.keys()
    urls = {name: rule.url.rsplit("/", 2)[1] for name, rule in RULES.items()}
    assert urls["JSONArgsRecommended"] == "json-args-recommended"
    assert urls["FromAsCasing"] == "from-as-casing"
    assert urls["SecretsUsedInArgOrEnv"] == "secrets-used-in-arg-or-env"


def test_what_keeps_all_rules() -> None:
    """Nothing is found in a file as it should be, however its lines are put."""
    source = Source(
        parse(
            b"# syntax=docker/dockerfile:1\n# a note\nARG TAG=latest\n"
            b"FROM --platform=$BUILDPLATFORM busybox:${TAG} AS base\n"
            b"RUN a \\\n# a comment\n  && b\n"
            b'COPY <<one /a\n\n\none\nSHELL ["/bin/sh", "-c"]\nCMD echo $x\n'
            b'LABEL a=b c="d e"\nEXPOSE 80 81/udp 90-92/tcp ${PORT}\n'
            b"ENV KEYBOARD=a PUBLIC_TOKEN=b\n"
        )
    )
    known = {"BUILDPLATFORM": "linux/amd64"}
    found = [*writing_findings(source), *base_findings(source, known)]
    assert read_policy("").told(found) == []


def test_the_platform_of_a_base() -> None:
    """An image for another platform than the one that is built for."""
    source = Source(parse(b"FROM --platform=$TARGETPLATFORM old:1\n"))
    state = BuildState(ImageDocument(architecture="amd64", os="linux"))
    bases: list[Vertex[PlannedStep]] = [
        Vertex(Base("old:1", state, "", {}, {}, platform), base="old:1", line=1)
        for platform in ("linux/amd64", "linux/arm64")
    ]
    (found,) = meaning_findings(source, bases, Ignore(()))
    assert found.rule.name == "InvalidBaseImagePlatform"
    assert found.detail == (
        'Base image old:1 was pulled with platform "linux/amd64", expected "linux/arm64" for '
        "current build"
    )


@pytest.mark.parametrize("text", ["skip", "other=1", "error=maybe"])
def test_a_wish_that_is_none(text: str) -> None:
    """It is refused and named."""
    with pytest.raises(InvalidValue, match="check option"):
        read_policy(text)
