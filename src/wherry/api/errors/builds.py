"""Builds."""

from wherry.api.errors.rules import Rule, Rules
from wherry.model import errors as kinds


def _dockerfile_refused(error: kinds.DockerfileRefused) -> str:
    if not error.line:
        return error.problem
    return f"dockerfile parse error on line {error.line}: {error.problem}"


RULES: Rules = {
    kinds.NotInContext: Rule(
        400,
        lambda e: (
            "COPY failed: file not found in build context or excluded by .dockerignore: "
            f"stat {e.path}: file does not exist"
        ),
    ),
    kinds.ClientGone: Rule(499, lambda _: "the client of the build is gone"),
    kinds.DockerfileRefused: Rule(400, _dockerfile_refused),
    kinds.StepEndedBadly: Rule(
        400,
        lambda e: f"The command '{e.command}' returned a non-zero code: {e.exit_code}",
    ),
}
