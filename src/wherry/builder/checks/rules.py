"""The rules, by their names, and what is said of each: BuildKit's linter/ruleset.go."""

import difflib
import re
from collections.abc import Collection

from wherry.kit.values import dataclass

_MOST_COMPARED = 200
_DOCS = "https://docs.docker.com/go/dockerfile/rule/"


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule."""

    name: str
    description: str
    is_experimental: bool = False
    """It is looked at only where the user wishes."""

    @property
    def url(self) -> str:
        """Where more is said of it."""
        words = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "-", self.name)
        return f"{_DOCS}{words.lower()}/"


@dataclass(frozen=True, slots=True)
class Finding:
    """A place where a rule was not kept."""

    rule: Rule
    detail: str
    first_line: int
    last_line: int


RULES = {
    rule.name: rule
    for rule in (
        Rule("StageNameCasing", "Stage names should be lowercase"),
        Rule("FromAsCasing", "The 'as' keyword should match the case of the 'from' keyword"),
        Rule(
            "NoEmptyContinuation",
            "Empty continuation lines will become errors in a future release",
        ),
        Rule(
            "ConsistentInstructionCasing",
            "All commands within the Dockerfile should use the same casing (either upper or "
            "lower)",
        ),
        Rule("DuplicateStageName", "Stage names should be unique"),
        Rule("ReservedStageName", "Reserved words should not be used as stage names"),
        Rule(
            "JSONArgsRecommended",
            "JSON arguments recommended for ENTRYPOINT/CMD to prevent unintended behavior "
            "related to OS signals",
        ),
        Rule(
            "MaintainerDeprecated",
            "The MAINTAINER instruction is deprecated, use a label instead to define an image "
            "author",
        ),
        Rule("UndefinedArgInFrom", "FROM command must use declared ARGs"),
        Rule(
            "WorkdirRelativePath",
            "Relative workdir without an absolute workdir declared within the build can have "
            "unexpected results if the base image changes",
        ),
        Rule("UndefinedVar", "Variables should be defined before their use"),
        Rule(
            "MultipleInstructionsDisallowed",
            "Multiple instructions of the same type should not be used in the same stage",
        ),
        Rule(
            "LegacyKeyValueFormat",
            "Legacy key/value format with whitespace separator should not be used",
        ),
        Rule(
            "InvalidBaseImagePlatform",
            "Base image platform does not match expected target platform",
        ),
        Rule(
            "RedundantTargetPlatform",
            "Setting platform to predefined $TARGETPLATFORM in FROM is redundant as this is the "
            "default behavior",
        ),
        Rule(
            "SecretsUsedInArgOrEnv",
            "Sensitive data should not be used in the ARG or ENV commands",
        ),
        Rule(
            "InvalidDefaultArgInFrom",
            "Default value for global ARG results in an empty or invalid base image name",
        ),
        Rule(
            "FromPlatformFlagConstDisallowed",
            "FROM --platform flag should not use a constant value",
        ),
        Rule("CopyIgnoredFile", "Attempting to Copy file that is excluded by .dockerignore"),
        Rule(
            "InvalidDefinitionDescription",
            "Comment for build stage or argument should follow the format: `# <arg/stage name> "
            "<description>`. If this is not intended to be a description comment, add an empty "
            "line or comment between the instruction and the comment.",
            is_experimental=True,
        ),
        Rule("ExposeProtoCasing", "Protocol in EXPOSE instruction should be lowercase"),
        Rule(
            "ExposeInvalidFormat",
            "IP address and host-port mapping should not be used in EXPOSE instruction. This "
            "will become an error in a future release",
        ),
    )
}


def suggestion(name: str, known: Collection[str], sign: str = "") -> str:
    """What was probably meant by a name that nobody gave; not looked for among very many."""
    if len(known) > _MOST_COMPARED:
        return ""
    near = difflib.get_close_matches(name[:40], known, n=1, cutoff=0.7)
    return f" (did you mean {sign}{near[0]}?)" if near else ""
