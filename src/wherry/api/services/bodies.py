"""Bodies of requests."""

from collections.abc import AsyncIterator

ByteSource = AsyncIterator[bytes]
"""A request body as it comes."""
