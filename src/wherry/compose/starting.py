"""What `start`, `restart` and the like will do: each service after those that it depends on."""

from collections.abc import Collection, Iterable, Mapping, Sequence

from wherry.client.documents import flag, text
from wherry.compose.application import Application, start_order
from wherry.compose.errors import ComposeError
from wherry.compose.observing import SeenContainer
from wherry.compose.steps import STARTED, Plan, Verb, awaiting, calling, starting


def add_starts(
    plan: Plan,
    made: Application,
    names: Mapping[str, Sequence[str]],
    running: Collection[str],
    before: Iterable[str],
) -> None:
    """Append the starts of what doesn't run. `names` are the containers of each service."""
    earlier = list(before)
    for service in start_order(made):
        waiting = [name for name in names[service] if name not in running]
        if not waiting:
            continue
        after = [*earlier, *_awaited(plan, made, names, service)]
        for name in waiting:
            plan.add(_start(service, name), starting(service, name), "it is to run", after)


def _awaited(
    plan: Plan, made: Application, names: Mapping[str, Sequence[str]], service: str
) -> list[str]:
    """The starts and waits that come before a service's start."""
    keys: list[str] = []
    for other, wanted in made.dependencies(service).items():
        starts = [_start(other, name) for name in names[other]]
        condition = text(wanted, "condition")
        keys += starts
        if condition == STARTED or not names[other]:
            continue
        is_required = wanted.get("required") is not False
        key = f"await {other} {condition} {is_required}"
        if key not in plan.keys(key):
            action = awaiting(other, names[other], condition, is_required=is_required)
            plan.add(key, action, f"{service} depends on it", starts)
        keys.append(key)
    return keys


def _start(service: str, name: str) -> str:
    return f"start {service} {name}"


def plan_start(made: Application, containers: Sequence[SeenContainer]) -> Plan:
    """Start the containers that don't run. Raises: ComposeError when a service has none."""
    plan = Plan()
    names = {
        service: [each.name for each in containers if each.service == service]
        for service in made.services
    }
    for service, found in names.items():
        if not found and made.scale_of(service):
            raise ComposeError(f'service "{service}" has no container to start')
    running = {each.name for each in containers if each.is_running}
    add_starts(plan, made, names, running, ())
    return plan


def plan_restart(
    made: Application,
    containers: Sequence[SeenContainer],
    targets: Sequence[str],
    timeout_s: int | None = None,
    *,
    with_dependents: bool = True,
) -> Plan:
    """Restart services, and those that ask to be restarted with them."""
    chosen = list(targets or made.services)
    for service in chosen:
        for other in made.dependents(service) if with_dependents else ():
            if flag(made.dependencies(other)[service], "restart") and other not in chosen:
                chosen.append(other)
    plan = Plan()
    for service in start_order(made):
        after = [
            f"restart {each.name}" for each in containers
            if each.service in made.dependencies(service)
        ]  # fmt: skip
        for each in containers:
            if each.service == service and service in chosen:
                action = calling(Verb.RESTART, each, timeout_s=timeout_s)
                plan.add(f"restart {each.name}", action, "restart", after)
    return plan


def plan_verb(verb: Verb, containers: Iterable[SeenContainer], signal: str = "") -> Plan:
    """Do the same to all of them."""
    plan = Plan()
    for each in containers:
        plan.add(f"{verb.name} {each.name}", calling(verb, each, signal=signal), verb.name.lower())
    return plan
