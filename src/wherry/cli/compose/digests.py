"""Images of services by their digests, as the registries have them now."""

from wherry.cli.failures import CommandFailed
from wherry.cli.images.references import DEFAULT_TAG, parse_reference
from wherry.cli.images.registry_access import login_for
from wherry.cli.session import Session
from wherry.client.documents import Document, child, document, text


def pinned(session: Session, services: Document) -> Document:
    """The services, each image with the digest that its name leads to; one that has it keeps it.

    Raises: CommandFailed, ApiError, and as `Transport.request`.
    """
    return {name: _with_digest(session, document(each)) for name, each in services.items()}


def images_alone(services: Document) -> Document:
    """What a file says that only puts digests in place of tags."""
    return {
        name: {key: value for key, value in document(each).items() if key == "image"}
        for name, each in services.items()
    }


def _with_digest(session: Session, service: Document) -> Document:
    image = text(service, "image")
    if not image:
        return service
    try:
        reference = parse_reference(image)
    except ValueError as problem:
        raise CommandFailed(str(problem)) from None
    name, digest = f"{reference.domain}/{reference.name}", reference.digest
    if not digest:
        name += f":{reference.tag or DEFAULT_TAG}"
        login = login_for(session, reference.domain)
        found = session.client.images.in_registry(name, login=login)
        digest = text(child(found, "Descriptor"), "digest")
    return {**service, "image": f"{name}@{digest}"}
