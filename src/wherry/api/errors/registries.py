"""Images elsewhere, and files on the web."""

from http.client import responses

from wherry.api.errors.rules import Rule, Rules
from wherry.model.errors import registries as kinds


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
    kinds.RegistryUnreachable: Rule(
        500, lambda e: f'{e.method.capitalize()} "{e.url}": {e.cause}'
    ),
    kinds.RegistryFailed: Rule(500, lambda e: e.complaint),
    kinds.RegistryUnauthorized: Rule(401, lambda e: f'Get "{e.place}": {e.complaint}'),
    kinds.LoginNeeded: Rule(500, lambda e: f'Get "{e.place}": {e.complaint}'),
    kinds.RegistryHasNoSearch: Rule(501, lambda e: f"{e.registry} has no search"),
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
