"""`pod create`, `pod ps`, `pod rm`, and `--pod` of `run` and `create`."""

from wherry.cli import rows
from wherry.cli.command import NONE, ONE, ONE_OR_MORE, Command
from wherry.cli.durations import ago
from wherry.cli.failures import CommandFailed
from wherry.cli.flags import LIST as TEXTS
from wherry.cli.flags import STRING, SWITCH, Flag, Parsed
from wherry.cli.images.missing import pull
from wherry.cli.options import ports
from wherry.cli.options.environment import labels
from wherry.cli.session import Session
from wherry.cli.texts import short_id
from wherry.client.documents import (
    Document,
    as_json,
    child,
    document,
    documents,
    mapping,
    number,
    text,
)
from wherry.pods import (
    CONTAINER_ROLE,
    ROLE,
    SANDBOX_ROLE,
    SHAREABLE,
    PodError,
    Pods,
    Sandbox,
    member_labels,
)

_COLUMNS = ("ID", "Name", "Status", "RunningFor", "Containers")


def pods_of(session: Session) -> Pods:
    """The pods of the session's engine."""
    return Pods(session.client, lambda image: pull(session, image))


def in_pod(session: Session, request: Document, pod: str) -> None:
    """Add to a request for a container that it is in a pod. Raises: CommandFailed."""
    try:
        joining = pods_of(session).joining(pod)
    except PodError as problem:
        raise CommandFailed(str(problem), code=125) from None
    of_pod = as_json(member_labels(pod, "", CONTAINER_ROLE))
    request["HostConfig"] = {**child(request, "HostConfig"), **joining}
    request["Labels"] = {**child(request, "Labels"), **document(of_pod)}


def create(session: Session, parsed: Parsed) -> int:
    """Make a pod that has no containers yet, and print its id."""
    shared = parsed.text("share", "net,ipc").split(",")
    for each in shared:
        if each not in SHAREABLE:
            raise CommandFailed(f"invalid --share {each!r}: there are {', '.join(SHAREABLE)}")
    published = [each for word in parsed.texts("publish") for each in ports.parse_publish(word)]
    bindings = ports.port_bindings(published)
    sandbox = Sandbox(
        pod=parsed.arguments[0],
        labels=labels([], parsed.texts("label")),
        hostname=parsed.text("hostname"),
        network=parsed.text("network", "bridge"),
        shared=shared,
        ports={port: documents(each) for port, each in bindings.items()},
        host_config={"ExtraHosts": as_json(parsed.texts("add-host"))},
    )
    session.say(pods_of(session).create(sandbox))
    return 0


def remove(session: Session, parsed: Parsed) -> int:
    """Remove pods, each with its containers and volumes; go on after a refusal."""
    pods, failed = pods_of(session), False
    for name in parsed.arguments:
        try:
            pods.remove(name, is_forced=parsed.is_on("force"))
        except PodError as problem:
            session.complain(f"Error: {problem}")
            failed = True
        else:
            session.say(name)
    return 1 if failed else 0


def list_pods(session: Session, parsed: Parsed) -> int:
    """List pods, newest first."""
    found = [_row(name, members) for name, members in pods_of(session).list().items()]
    columns = _columns(truncates=not parsed.is_on("no-trunc"))
    form = parsed.text("format")
    is_quiet = parsed.is_on("quiet")
    rows.show(session, found, columns, _COLUMNS, form=form, is_quiet=is_quiet)
    return 0


def _row(name: str, members: list[Document]) -> Document:
    """What is shown of a pod; its status is `Running`, `Exited` or `Degraded`, as podman's."""
    roles = {text(each, "Id"): mapping(each, "Labels").get(ROLE, "") for each in members}
    own = [each for each in members if roles[text(each, "Id")] == CONTAINER_ROLE]
    sandboxes = [each for each in members if roles[text(each, "Id")] == SANDBOX_ROLE]
    running = [each for each in own or sandboxes if text(each, "State") == "running"]
    some = "Degraded" if running else "Exited"
    oldest = (sandboxes or members)[0]
    return {
        "Id": text(oldest, "Id"),
        "Name": name,
        "Status": "Running" if len(running) == len(own or sandboxes) else some,
        "Created": number(oldest, "Created"),
        "Containers": len(own),
        "Labels": as_json(mapping(oldest, "Labels")),
    }


def _columns(*, truncates: bool) -> rows.Columns[Document]:
    column = rows.Column[Document]

    def identifier(pod: Document) -> str:
        return short_id(text(pod, "Id")) if truncates else text(pod, "Id")

    return rows.Columns[Document](
        type_name="formatter.PodContext",
        columns=(
            column("ID", "POD ID", identifier),
            column("Name", "NAME", lambda pod: text(pod, "Name")),
            column("Status", "STATUS", lambda pod: text(pod, "Status")),
            column("RunningFor", "CREATED", lambda pod: ago(number(pod, "Created"))),
            column("Containers", "CONTAINERS", lambda pod: str(number(pod, "Containers"))),
        ),
        label=lambda pod, key: mapping(pod, "Labels").get(key, ""),
    )


CREATE = Command(
    shape="POD",
    summary="Make an empty pod: `run --pod POD` puts containers in it",
    arguments=ONE,
    run=create,
    flags=(
        Flag("add-host", TEXTS, "A line of /etc/hosts (host:ip)"),
        Flag("hostname", STRING, "The pod's host name, its own name by default", short="h"),
        Flag("label", TEXTS, "A label (key=value)", short="l"),
        Flag("network", STRING, "The network that the pod is on"),
        Flag("publish", TEXTS, "Publish a port of the pod on the host", short="p"),
        Flag("share", STRING, "What containers share: some of net,ipc,pid (net,ipc by default)"),
    ),
)
LIST = Command(
    shape="",
    summary="List pods",
    arguments=NONE,
    run=list_pods,
    flags=(
        Flag("format", STRING, "How to print: table, table TEMPLATE, json, or TEMPLATE"),
        Flag("no-trunc", SWITCH, "Show ids in full"),
        Flag("quiet", SWITCH, "Show ids only", short="q"),
    ),
)
REMOVE = Command(
    shape="POD [POD...]",
    summary="Remove pods with their containers and volumes",
    arguments=ONE_OR_MORE,
    run=remove,
    flags=(Flag("force", SWITCH, "Remove what is still running", short="f"),),
)
