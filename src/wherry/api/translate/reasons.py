"""From a reason to the answer of `why`."""

from wherry.model.reasons import Reason
from wherry.wire.reasons import ReasonAnswer


def to_reason_answer(reason: Reason) -> ReasonAnswer:
    """All of it."""
    return ReasonAnswer(
        Id=reason.container_id,
        Name=f"/{reason.name}",
        State=reason.state,
        ExitCode=reason.exit_code,
        Cause=reason.cause.value,
        Certainty=reason.certainty.value,
        Sentence=reason.sentence,
        Evidence=list(reason.evidence),
        Hints=list(reason.hints),
        LastLines=list(reason.last_lines),
    )
