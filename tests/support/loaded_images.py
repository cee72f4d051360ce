"""Two layers, loading them into an image store, and what is on its disk."""

import io
import os
from pathlib import Path

from support.image_archives import layer
from wherry.images import ImageArchives, ImageStore

BASE, TOP = layer("base", b"1"), layer("top", b"2")


def load(images: ImageStore, content: bytes) -> list[str]:
    """Load an archive; the lines that a user sees."""
    return [each.stream for each in ImageArchives(images).load(io.BytesIO(content)) if each.stream]


def on_disk(data_root: Path) -> list[str]:
    """Blobs, layers and what is under way."""
    places = ("content/blobs/sha256", "content/ingest", "overlay2", "tmp")
    return sorted(f"{place}/{name}" for place in places for name in os.listdir(data_root / place))
