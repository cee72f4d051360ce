"""`compose publish`: the files of a project as an artifact in a registry, for `-f oci://...`."""

import os

from wherry.cli.command import ONE
from wherry.cli.compose.entry import ComposeCommand
from wherry.cli.compose.images import carry_out_images
from wherry.cli.compose.selection import part_of, project_of
from wherry.cli.compose.telling import asker, telling
from wherry.cli.failures import CommandFailed
from wherry.cli.flags import STRING, SWITCH, Flag, Parsed, absent_flag
from wherry.cli.images.manifests import with_registry
from wherry.cli.images.references import DEFAULT_TAG, parse_reference
from wherry.cli.session import Session
from wherry.client.documents import Document, child, children, document, flag, text
from wherry.compose import COMPOSE_VERSION, Application, Project, Told, plan_push

_KIND = "application/vnd.docker.compose.project"
_FILE = "application/vnd.docker.compose.file+yaml"


def run(session: Session, parsed: Parsed) -> int:
    """Push what is built here, then the files."""
    from wherry.registry import PublishedFile

    name = parsed.arguments[0]
    try:
        reference = parse_reference(name)
    except ValueError as problem:
        raise CommandFailed(str(problem)) from None
    if parsed.text("oci-version", "1.1") not in ("1.1", "1.1.0"):
        raise CommandFailed(f"unsupported OCI version: {parsed.text('oci-version')}")
    project = project_of(session, parsed)
    made = part_of(project, parsed, has_all=True)
    _check(session, parsed, project, made)
    files = [
        PublishedFile(
            media_type=_FILE,
            content=_content(path),
            annotations={
                "com.docker.compose.version": COMPOSE_VERSION,
                "com.docker.compose.file": os.path.basename(path),
            },
        )
        for path in project.files
    ]
    if not parsed.is_on("dry-run"):
        carry_out_images(session, parsed, plan_push(made), made)
    with telling(session, parsed, "Publishing") as report:
        report(Told(name, "publishing", is_over=False))
        if not parsed.is_on("dry-run"):
            tag = reference.tag or DEFAULT_TAG
            with_registry(
                session,
                parsed,
                reference,
                lambda there: there.put_artifact(reference.name, tag, files, kind=_KIND),
            )
        report(Told(name, "published"))
    return 0


def _content(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def _check(session: Session, parsed: Parsed, project: Project, made: Application) -> None:
    """What can't be published, or only if the user says so. Raises: CommandFailed."""
    if "-" in project.files:
        raise CommandFailed("cannot publish a compose file of standard input")
    for path in project.files:
        _check_parts(path)
    for name, service in made.services.items():
        if "build" in service and not text(service, "image"):
            raise CommandFailed(
                f"your Compose stack cannot be published as it only contains a build section for "
                f'service(s):\n- "{name}"'
            )
        if service.get("env_file"):
            raise CommandFailed(
                f"compose publish: services.{name}.env_file is not there yet: "
                "files of variables don't go into the artifact"
            )
        if child(service, "environment") and not parsed.is_on("with-env"):
            raise CommandFailed(
                f'service "{name}" has environment variable(s) declared.\nTo avoid leaking '
                "sensitive data,you must either explicitly allow the sending of environment "
                "variables by using the --with-env flag,\nor remove sensitive data from your "
                "Compose configuration"
            )
        _ask_about_binds(session, parsed, name, service)


def _check_parts(path: str) -> None:
    """Other files of this machine would be missing where the artifact is read."""
    from wherry.compose import read_documents

    for source in read_documents(_content(path), path):
        whole = document(source.value)
        if "include" in whole:
            raise CommandFailed("cannot publish compose file with local includes")
        for name, service in child(whole, "services").items():
            if text(child(document(service), "extends"), "file"):
                raise CommandFailed(
                    f"compose publish: services.{name}.extends.file is not there yet: "
                    "extended files don't go into the artifact"
                )


def _ask_about_binds(session: Session, parsed: Parsed, name: str, service: Document) -> None:
    binds = [x for x in children(service, "volumes") if text(x, "type") == "bind"]
    if not binds:
        return
    listed = "\n".join(
        f"- {text(x, 'source')}:{text(x, 'target')}{':ro' if flag(x, 'read_only') else ''}"
        for x in binds
    )
    ask = asker(session, assumes_yes=parsed.is_on("yes"))
    question = (
        "you are about to publish bind mounts declaration within your OCI artifact.\n"
        "only the bind mount declarations will be added to the OCI artifact (not content)\n"
        f"please double check that you are not mounting potential user's sensitive directories "
        f"or data\n{name}\n{listed}\nAre you ok to publish these bind mount declarations?"
    )
    if not ask(question):
        raise CommandFailed("operation cancelled")


PUBLISH = ComposeCommand(
    "REPOSITORY[:TAG]",
    "Publish compose application",
    ONE,
    run,
    (
        absent_flag("app", "the images that the project refers to"),
        Flag("insecure", SWITCH, "Allow a registry without TLS", is_hidden=True),
        Flag("oci-version", STRING, "Version of the OCI image specification (1.1)"),
        absent_flag("resolve-image-digests", "images by their digests"),
        Flag("with-env", SWITCH, "Publish variables of services too"),
        Flag("yes", SWITCH, 'Answer "yes" to all questions', short="y"),
    ),
)
