"""Kinds of failure that any noun may have."""

from wherry.api.errors.rules import Rule, Rules
from wherry.model import errors as kinds


def _plain(error: kinds.WherryError) -> str:
    return str(error)


RULES: Rules = {
    kinds.WherryError: Rule(500, _plain),
    kinds.NotFound: Rule(404, _plain),
    kinds.AlreadyExists: Rule(409, _plain),
    kinds.Conflict: Rule(409, _plain),
    kinds.InvalidRequest: Rule(400, _plain),
    kinds.Forbidden: Rule(403, _plain),
    kinds.Unauthorized: Rule(401, _plain),
    kinds.Unavailable: Rule(503, _plain),
    kinds.NotSupported: Rule(501, _plain),
    kinds.Cancelled: Rule(499, _plain),
    kinds.Broken: Rule(500, _plain),
    kinds.InvalidField: Rule(400, lambda e: f"invalid {e.field} {e.value!r}: {e.problem}"),
    kinds.InvalidValue: Rule(400, lambda e: e.sentence),
    kinds.FeatureMissing: Rule(501, lambda e: f"Wherry does not have this yet: {e.feature}"),
    kinds.HostLacks: Rule(501, lambda e: f"{e.feature} needs {e.missing}, which this host lacks"),
    kinds.StepFailed: Rule(500, lambda e: f"{e.step}: {e.cause}"),
    kinds.ContentDamaged: Rule(
        500,
        lambda e: (
            f"{e.damaged} of {e.checked} blobs were damaged and are removed: load or pull their "
            "images again"
        ),
    ),
    kinds.StateUnreadable: Rule(500, lambda e: f"{e.place} is unreadable: {e.problem}"),
    kinds.PruneRunning: Rule(409, lambda e: "a prune operation is already running"),
    kinds.NoCluster: Rule(
        503,
        lambda _: (
            'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to '
            "connect this node to swarm and try again."
        ),
    ),
}
