"""Images, here and in registries."""

from http.client import responses

from wherry.api.errors.rules import Rule, Rules
from wherry.kit.random_ids import short_id
from wherry.model import errors as kinds


def _image_in_use(error: kinds.ImageInUse) -> str:
    holder = short_id(error.container)
    if error.is_running:
        return (
            f"conflict: unable to delete {short_id(error.reference)} (cannot be forced) - "
            f"image is being used by running container {holder}"
        )
    if error.reference == error.image:
        return (
            f"conflict: unable to delete {short_id(error.reference)} (must be forced) - "
            f"image is being used by stopped container {holder}"
        )
    return (
        f'conflict: unable to remove repository reference "{error.reference}" (must force) - '
        f"container {holder} is using its referenced image {short_id(error.image)}"
    )


def _invalid_reference(error: kinds.InvalidReference) -> str:
    if not error.problem or error.problem == "invalid reference format":
        return "invalid reference format"
    return f"invalid reference format: {error.problem}"


def _repository_denied(error: kinds.RepositoryDenied) -> str:
    return (
        f"pull access denied for {error.repository}, repository does not exist or may require "
        f"'docker login': {error.complaint}"
    )


def _manifest_unknown(error: kinds.ManifestUnknown) -> str:
    colon = "@" if error.reference.startswith("sha256:") else ":"
    return (
        f"manifest for {error.repository}{colon}{error.reference} not found: manifest unknown: "
        "manifest unknown"
    )


RULES: Rules = {
    kinds.ImageNotFound: Rule(404, lambda e: f"No such image: {e.reference}"),
    kinds.ImageInUse: Rule(409, _image_in_use),
    kinds.ImageHasTags: Rule(
        409,
        lambda e: (
            f"conflict: unable to delete {short_id(e.image)} (must be forced) - "
            "image is referenced in multiple repositories"
        ),
    ),
    kinds.InvalidReference: Rule(400, _invalid_reference),
    kinds.UnusableReference: Rule(400, lambda e: e.problem),
    kinds.ArchiveRefused: Rule(400, lambda e: f"invalid archive: {e.problem}"),
    kinds.DigestMismatch: Rule(
        400, lambda e: f"content has digest {e.actual}, expected {e.expected}"
    ),
    kinds.RegistryUnreachable: Rule(
        500, lambda e: f'{e.method.capitalize()} "{e.url}": {e.cause}'
    ),
    kinds.RegistryFailed: Rule(500, lambda e: e.complaint),
    kinds.RegistryUnauthorized: Rule(401, lambda e: f'Get "{e.place}": {e.complaint}'),
    kinds.LoginNeeded: Rule(500, lambda e: f'Get "{e.place}": {e.complaint}'),
    kinds.RegistryRefused: Rule(500, lambda e: e.complaint),
    kinds.RepositoryDenied: Rule(404, _repository_denied),
    kinds.ManifestUnknown: Rule(404, _manifest_unknown),
    kinds.PlatformMissing: Rule(
        404, lambda e: f"no matching manifest for {e.platform} in the manifest list entries"
    ),
    kinds.SystemUnusable: Rule(
        400,
        lambda e: (
            f'image operating system "{e.system}" cannot be used on this platform: operating '
            "system is not supported"
        ),
    ),
    kinds.OtherPlatform: Rule(
        404,
        lambda e: (
            f"image with reference {e.reference} was found but does not provide the specified "
            f"platform ({e.platform})"
        ),
    ),
    kinds.DownloadRefused: Rule(
        404,
        lambda e: (
            f"failed to GET {e.address} with status {e.status} {responses.get(e.status, '')}"
            + (f": {e.complaint}" if e.complaint else "")
        ),
    ),
    kinds.ManifestRefused: Rule(400, lambda e: f"invalid manifest: {e.problem}"),
}
