"""The checks of one build: looked at while it is planned, told as warnings, each place once."""

from collections.abc import Callable, Mapping, Sequence

from wherry.builder import dockerfile as language
from wherry.builder.checks.meaning import base_findings, meaning_findings
from wherry.builder.checks.policy import read_policy
from wherry.builder.checks.rules import Finding
from wherry.builder.checks.writing import Source, writing_findings
from wherry.builder.planning import PlannedStep
from wherry.builder.solver import Vertex
from wherry.kit.path_patterns import Ignore
from wherry.model.builds import BuildWarned

CHECK_ARGUMENT = "BUILDKIT_DOCKERFILE_CHECK"


MOST_LINES = 10_000
"""Nobody writes larger files; of those that programs write, nothing is checked."""


class Checking:
    """Finds and tells."""

    def __init__(
        self,
        file: language.Dockerfile,
        arguments: Mapping[str, str | None],
        tell: Callable[[BuildWarned], None],
    ) -> None:
        """Raises: InvalidValue, for wishes that are none."""
        wish = arguments.get(CHECK_ARGUMENT) or file.directives.get("check", "")
        self._policy = read_policy(wish)
        self._source = Source(file)
        self._is_checked = len(file.lines) <= MOST_LINES
        self._tell = tell
        self._told: dict[Finding, None] = {}

    def look_at_text(self, platform_arguments: Mapping[str, str]) -> None:
        """What can be found before anything is planned."""
        if not self._is_checked:
            return
        self._take(
            [*writing_findings(self._source), *base_findings(self._source, platform_arguments)]
        )

    def look_at_steps(self, vertices: Sequence[Vertex[PlannedStep]], ignore: Ignore) -> None:
        """What is found in planned steps."""
        if not self._is_checked:
            return
        self._take(meaning_findings(self._source, vertices, ignore))

    def end(self) -> None:
        """Raises: InvalidValue, when something was found and that is an error."""
        self._policy.check(self._told)

    def _take(self, findings: Sequence[Finding]) -> None:
        for finding in self._policy.told(findings):
            if finding in self._told:
                continue
            self._told[finding] = None
            self._tell(
                BuildWarned(
                    text=finding.detail,
                    line=finding.first_line,
                    last_line=finding.last_line,
                    rule=finding.rule.name,
                    description=finding.rule.description,
                    url=finding.rule.url,
                )
            )
