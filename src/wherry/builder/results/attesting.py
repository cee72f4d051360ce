"""What is said of one build's results: where they come from, and what is in them."""

from collections.abc import Mapping, Sequence

from wherry.builder.results.products import Result
from wherry.builder.results.provenance import ProvenanceFacts, ProvenanceWish
from wherry.builder.results.scanning import Scanner
from wherry.builder.results.statements import Predicate


class Attesting:
    """Knows what was asked for, and says it when a result is there."""

    def __init__(
        self, wish: ProvenanceWish | None, facts: ProvenanceFacts, scanner: Scanner | None
    ) -> None:
        self._wish = wish
        self._facts = facts
        self._scanner = scanner
        self._scanned: dict[str, Sequence[Predicate]] = {}
        self.is_everywhere = scanner is not None or (wish is not None and not wish.is_inline_only)
        """It was asked for by the user, and not only where it is usual."""

    async def of(self, results: Sequence[Result]) -> Mapping[str, Sequence[Predicate]]:
        """What is said of results, by the platforms of their images; each is scanned once.

        Raises: as the scanner does.
        """
        told: dict[str, list[Predicate]] = {}
        for each in results:
            said = told[each.built_for] = [*await self._scans(each)]
            if self._wish is not None:
                said.append(self._facts.predicate(self._wish))
        return told

    async def _scans(self, result: Result) -> Sequence[Predicate]:
        if self._scanner is None:
            return ()
        platform = result.built_for
        if platform not in self._scanned:
            self._scanned[platform] = await self._scanner.predicates(result)
        return self._scanned[platform]
