"""Layers from strangers: nothing outside is touched, and nothing half-done is left."""

import io
import os
import resource
import stat
from pathlib import Path

import pytest

from kernel.snapshots.conftest import Canary, layer_directory, names_on_disk
from kernel.snapshots.hostile_layers import CORPUS, Hostile
from wherry.model.errors.images import ArchiveRefused
from wherry.snapshots import Snapshots

pytestmark = pytest.mark.kernel

LARGEST_GROWTH_KIB = 64 << 10


@pytest.mark.parametrize("hostile", CORPUS, ids=lambda each: each.name.replace(" ", "-"))
def test_layer(hostile: Hostile, snapshots: Snapshots, canary: Canary) -> None:
    """A hostile layer is refused, or does inside what its names say; the host stays as it was."""
    packed = hostile.make(os.fsencode(canary.root))
    open_before = len(os.listdir("/proc/self/fd"))
    peak_before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    if hostile.refused:
        with pytest.raises(ArchiveRefused) as caught:
            snapshots.apply_layer(None, io.BytesIO(packed))
        assert hostile.refused in caught.value.problem
        assert names_on_disk(snapshots) == []
        assert snapshots.layers.all() == ()
    else:
        layer = snapshots.apply_layer(None, io.BytesIO(packed))
        root = layer_directory(snapshots, layer.number)
        for name, expected in hostile.holds.items():
            assert _seen(root, name, expected) == expected
    assert canary.is_untouched()
    assert len(os.listdir("/proc/self/fd")) == open_before
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak_before
    assert grown <= LARGEST_GROWTH_KIB


def test_corpus_is_large_enough() -> None:
    """The programme asks for at least sixty, twenty and forty kinds of layers."""
    assert len(CORPUS) >= 100
    assert len({each.name for each in CORPUS}) == len(CORPUS)


def _seen(root: Path, name: str, expected: object) -> object:
    """What is there, in the form of what was expected."""
    attribute, of, subject = name.partition(" of ")
    if of:
        target = root / subject
        listed = os.listxattr(target, follow_symlinks=False)
        return os.getxattr(target, attribute) if attribute in listed else None
    path = root / name
    if not os.path.lexists(path):
        return None
    if isinstance(expected, bytes):
        assert stat.S_ISREG(path.lstat().st_mode)
        return path.read_bytes()
    if isinstance(expected, str):
        return os.readlink(path)
    return path.lstat().st_mode
