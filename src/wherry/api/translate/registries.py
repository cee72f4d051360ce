"""Between Docker's credentials and answers about registries, and ours."""

import base64
import binascii

from wherry.model.errors import InvalidValue
from wherry.model.images import DistributionImage, FoundRepository
from wherry.registry import ANONYMOUS, Credentials
from wherry.wire import registries as shapes
from wherry.wire.lenient import Decoder, InvalidJson

_AUTH = Decoder(shapes.AuthConfig)
_LARGEST_HEADER = 64 << 10


def to_credentials(config: shapes.AuthConfig) -> Credentials:
    """Credentials of a body or header. Raises: InvalidValue for an `auth` that is no pair."""
    username, password = config.username, config.password
    if config.auth and not username:
        try:
            pair = base64.b64decode(config.auth, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError) as error:
            raise InvalidValue(f"invalid auth configuration: {error}") from error
        username, _, password = pair.partition(":")
    return Credentials(
        username=username,
        password=password,
        identity_token=config.identitytoken,
        registry_token=config.registrytoken,
    )


def from_header(text: str) -> Credentials:
    """Credentials of `X-Registry-Auth`: JSON in base64url, with or without padding.

    What is none of that means nobody in particular, as in dockerd: clients have to send something
    with a push, and some send a word.
    """
    if not text or len(text) > _LARGEST_HEADER:
        return ANONYMOUS
    try:
        return to_credentials(_AUTH.decode(decoded_header(text) or b"{}"))
    except (binascii.Error, ValueError, InvalidJson):
        return ANONYMOUS


def decoded_header(text: str) -> bytes:
    """base64url, with or without padding. Raises: ValueError."""
    padded = text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4)
    return base64.b64decode(padded.replace("-", "+").replace("_", "/"), validate=True)


def to_search_items(found: list[FoundRepository]) -> list[shapes.SearchItem]:
    """The hits of a search."""
    return [
        shapes.SearchItem(
            name=each.name,
            description=each.description,
            is_official=each.is_official,
            is_automated=False,
            star_count=each.star_count,
        )
        for each in found
    ]


def to_distribution_answer(image: DistributionImage) -> shapes.DistributionAnswer:
    """What a registry has under a name."""
    return shapes.DistributionAnswer(
        Descriptor=shapes.OciDescriptor(
            mediaType=image.media_type, digest=image.digest, size=image.size_bytes
        ),
        Platforms=[
            shapes.OciPlatform(architecture=architecture, os=system, variant=variant)
            for system, architecture, variant in image.platforms
        ],
    )
