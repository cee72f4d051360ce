"""Kubernetes' quantities: `250m`, `1.5`, `64Mi`, `1e3`."""

from decimal import Decimal, InvalidOperation

from wherry.pods.errors import ManifestError
from wherry.pods.manifest import Quantity

_SUFFIXES = {
    "m": Decimal(1) / 1000,
    **{letter: Decimal(1000) ** power for power, letter in enumerate("kMGTPE", 1)},
    **{f"{letter}i": Decimal(1024) ** power for power, letter in enumerate("KMGTPE", 1)},
}


def amount(quantity: Quantity, where: str) -> Decimal:
    """The number. Raises: ManifestError naming the place."""
    text = str(quantity)
    suffix = next((each for each in (text[-2:], text[-1:]) if each in _SUFFIXES), "")
    try:
        number = Decimal(text.removesuffix(suffix)) * _SUFFIXES.get(suffix, Decimal(1))
    except InvalidOperation:
        number = Decimal(-1)
    if not number.is_finite() or number < 0:
        raise ManifestError(f"{where}: {text!r} is not a quantity (like 250m, 1.5 or 64Mi)")
    return number
