"""What the user wants of checks: `# check=skip=RULE,...;error=true`, or an argument of the build.

The argument, BUILDKIT_DOCKERFILE_CHECK, takes the directive's place.
"""

from collections.abc import Iterable

from wherry.builder.checks.rules import Finding
from wherry.kit.values import dataclass
from wherry.model.errors import InvalidValue

_TRUTHS = {"1": True, "t": True, "true": True, "0": False, "f": False, "false": False}
_ALL = "all"


@dataclass(frozen=True, slots=True)
class Policy:
    """Which findings are told, and whether there may be any."""

    skipped: frozenset[str] = frozenset()
    experimental: frozenset[str] = frozenset()
    is_error: bool = False

    def told(self, findings: Iterable[Finding]) -> list[Finding]:
        """Those that the user wants to hear of."""
        return [each for each in findings if self._tells(each)]

    def _tells(self, finding: Finding) -> bool:
        name = finding.rule.name
        if name in self.skipped or _ALL in self.skipped:
            return False
        return not finding.rule.is_experimental or bool({name, _ALL} & self.experimental)

    def check(self, told: Iterable[Finding]) -> None:
        """Raises: InvalidValue, when something was told and that is an error."""
        names = sorted({each.rule.name for each in told})
        if self.is_error and names:
            raise InvalidValue(f"lint violation found for rules: {', '.join(names)}")


def read_policy(text: str) -> Policy:
    """Raises: InvalidValue in BuildKit's words."""
    names: dict[str, frozenset[str]] = {"skip": frozenset(), "experimental": frozenset()}
    is_error = False
    for part in text.strip().split(";") if text.strip() else ():
        key, equals, value = part.partition("=")
        key, value = key.strip(), value.strip()
        if not equals:
            raise InvalidValue(f'invalid check option "{part}"')
        if key in names:
            names[key] = frozenset(each.strip() for each in value.split(","))
        elif key == "error":
            if value.lower() not in _TRUTHS:
                raise InvalidValue(f'failed to parse check option "{part}"')
            is_error = _TRUTHS[value.lower()]
        else:
            raise InvalidValue(f'invalid check option "{key}"')
    return Policy(names["skip"], names["experimental"], is_error)
