"""Names for texts."""

import hashlib


def digest_of(*parts: str) -> str:
    """A name for some texts, each by itself."""
    digest = hashlib.sha256()
    for part in parts:
        content = part.encode(errors="surrogateescape")
        digest.update(b"%d:" % len(content) + content)
    return digest.hexdigest()
