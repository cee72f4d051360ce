"""`compression=` of outputs and caches."""

from wherry.model.errors import FeatureMissing, InvalidValue
from wherry.snapshots import Compression

_NAMES = {
    "": Compression.GZIP,
    "gzip": Compression.GZIP,
    "zstd": Compression.ZSTD,
    "uncompressed": Compression.NONE,
}


def compression_named(name: str) -> Compression:
    """What a word of BuildKit's means. Raises: InvalidValue, FeatureMissing."""
    if name == "estargz":
        raise FeatureMissing("compression=estargz")
    if name not in _NAMES:
        raise InvalidValue(f"unsupported layer compression type: {name}")
    return _NAMES[name]
