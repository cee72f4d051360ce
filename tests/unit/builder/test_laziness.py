"""What has never built has no builder in memory."""

import subprocess
import sys


def test_the_builder_is_imported_at_the_first_build() -> None:
    """The daemon's wiring brings the cache's table and the protocols, nothing else of the room."""
    code = (
        "import sys, wherry.programs.wiring;"
        "print(*sorted(name for name in sys.modules if name.startswith('wherry.builder.')))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == [
        f"wherry.builder.{name}"
        for name in (
            "cache",
            "cache.kept_builds",
            "cache.seen_steps",
            "cache.table",
            "digests",
            "sources",
            "sources.kept_contexts",
            "sources.offers",
            "sources.ports",
            "steps",
            "steps.cache_mounts",
        )
    ]
