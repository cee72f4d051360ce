"""How much of a proof is done in this run."""

import os


class Size:
    """Whole under `make proof` (WHERRY_PROOF=whole), a sample in `make test`."""

    is_whole = os.environ.get("WHERRY_PROOF") == "whole"

    def of(self, whole: int, sample: int) -> int:
        """The number for this run."""
        return whole if self.is_whole else sample
