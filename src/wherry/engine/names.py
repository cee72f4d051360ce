"""Names for containers that were given none: a mood and somebody who made something."""

import random
from collections.abc import Callable


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


MOODS = _words(
    """
    amiable bold brave breezy bright calm candid cheerful clever cosy crisp curious daring
    dapper eager earnest easy elated exact fair fearless festive fond frank fresh friendly
    gentle glad golden graceful grand happy hardy hopeful humble jaunty jolly jovial keen kind
    lively loyal lucid lucky mellow merry mighty mindful modest neat nimble noble patient
    peaceful placid playful polite prompt proud quick quiet quirky radiant ready relaxed sage
    serene sharp sincere sleepy sober spry steady stoic sunny swift tender tidy tranquil trusty
    upbeat vibrant vigilant vivid warm watchful wise witty wonderful zealous zesty
    """
)

MAKERS = _words(
    """
    allen archimedes babbage bell berners bohr boole brunel cerf clarke curie darwin diffie
    dijkstra edison einstein elion engelbart euclid euler faraday fermat fermi feynman franklin
    galileo gauss goldberg goodall hamilton hawking hertz hoover hopper hypatia jackson jepsen
    johnson kahn kay kepler kilby knuth lamarr lamport leavitt leibniz liskov lovelace lumiere
    maxwell mayer mccarthy mcclintock meitner mendel merkle mirzakhani morse murdock newton
    nightingale noether pascal pasteur payne perlman pike planck poincare ramanujan ride
    ritchie roentgen rosalind rubin sammet shannon shaw sinoussi snyder stallman stonebraker
    swartz tesla thompson torvalds turing varahamihira villani volta wilbur wiles wing wozniak
    wright yalow yonath
    """
)


def pick_name(is_free: Callable[[str], bool], source: random.Random) -> str:
    """A free name such as `clever_hopper`; with a digit behind it when luck runs out."""
    for attempt in range(100):
        suffix = "" if attempt < 6 else str(source.randrange(10 ** (attempt // 10 + 1)))
        name = f"{source.choice(MOODS)}_{source.choice(MAKERS)}{suffix}"
        if is_free(name):
            return name
    raise AssertionError("a hundred names, and all of them taken")
