"""Builds."""

import posixpath

from wherry.api.errors.rules import Rule, Rules
from wherry.model.errors import builds as kinds


def _dockerfile_refused(error: kinds.DockerfileRefused) -> str:
    if not error.line:
        return error.problem
    return f"dockerfile parse error on line {error.line}: {error.problem}"


def _not_in_context(error: kinds.NotInContext) -> str:
    failed = f"{error.instruction} failed:"
    missing = f"stat {error.path}: file does not exist"
    if posixpath.normpath(error.source.lstrip("/")).startswith("../"):
        return f"{failed} forbidden path outside the build context: {error.source} ()"
    if error.is_pattern:
        return f"{failed} no source files were specified"
    if error.has_origin:
        return f"{failed} {missing}"
    return f"{failed} file not found in build context or excluded by .dockerignore: {missing}"


RULES: Rules = {
    kinds.NotInContext: Rule(400, _not_in_context),
    kinds.ClientGone: Rule(499, lambda _: "the client of the build is gone"),
    kinds.DockerfileRefused: Rule(400, _dockerfile_refused),
    kinds.BuildNotFound: Rule(404, lambda e: f"no such build: {e.ref}"),
    kinds.StepEndedBadly: Rule(
        400,
        lambda e: f"The command '{e.command}' returned a non-zero code: {e.exit_code}",
    ),
}
