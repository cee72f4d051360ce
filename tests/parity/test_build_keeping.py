"""What builds keep: its limits, and that everybody who counts it counts the same."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.builds import classic_build, small_context, write_dockerfile
from support.daemon import Engine
from support.waiting import wait_until

MEGABYTE = 1 << 20


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """An engine whose cache may have three megabytes of results after each build."""
    file = tmp_path / "daemon.json"
    rules = [{"filter": ["type=regular"], "maxUsedSpace": "3mb"}]
    settings = {"gc": {"policy": rules}, "entitlements": {"security-insecure": False}}
    file.write_text(json.dumps({"builder": settings}))
    made = Engine("--config-file", str(file))
    try:
        made.start()
        made.bootstrap()
        yield made
    finally:
        made.close()


def cache_records(engine: Engine) -> list[dict[str, object]]:
    """What `system df` counts as the build cache."""
    found = engine.docker_ok("system", "df", "-v", "--format", "{{json .BuildCache}}")
    records: list[dict[str, object]] = json.loads(found)
    return records


def test_the_cache_stays_within_its_limits(engine: Engine, tmp_path: Path) -> None:
    """The least recently used goes after a build; an image's own layers are no part of it."""
    context = small_context(tmp_path / "context")
    fill = "dd if=/dev/urandom bs=1M count=2"
    filled = f"FROM busybox\nRUN {fill} of=/old\nRUN rm /old && {fill} of=/new\nRUN rm /new\n"
    write_dockerfile(context, filled)
    classic_build(engine, context)
    engine.docker_ok("image", "prune", "-f")
    write_dockerfile(context, "FROM busybox\nRUN --security=insecure true\n")
    refused = classic_build(engine, context, check=False)
    assert "security.insecure is not allowed" in refused.stderr
    engine.restart()
    write_dockerfile(context, "FROM busybox\nLABEL looks=again\n")
    classic_build(engine, context, "-t", "labelled")

    def kept() -> int:
        shown = engine.api("GET", "/system/df?type=build-cache").json["BuildCache"]
        return sum(each["Size"] for each in shown if not each["Shared"])

    wait_until("the cache is small", lambda: kept() < 3 * MEGABYTE)
    told = [each["Description"] for each in cache_records(engine)]
    assert not any("of=/old" in str(each) and "rm" not in str(each) for each in told), told
    assert any("LABEL looks" in str(each) for each in told), told
    write_dockerfile(context, filled)
    planned = engine.wherry("build", "--plan", str(context)).stdout
    assert "- its result was removed by rule 1 of the cache's upkeep, 20" in planned


def test_prunes_take_what_their_words_say(engine: Engine, tmp_path: Path) -> None:
    """Filters by age, kind and id, and limits; `system df` agrees each time."""
    context = small_context(tmp_path / "context")
    write_dockerfile(
        context, "FROM busybox\nRUN --mount=type=cache,target=/c echo > /c/x\nRUN echo 2 > /two\n"
    )
    classic_build(engine, context, "-t", "kept")

    def prune(*flags: str) -> None:
        ran = engine.wherry("builder", "prune", "-f", *flags)
        assert ran.returncode == 0, ran.stderr

    everything = len(cache_records(engine))
    assert everything == 3
    for flags in (
        ("--all", "--filter", "until=1h"),
        ("--all", "--filter", "unused-for=1h"),
        ("--all", "--filter", "id=zzz"),
        ("--all", "--filter", "type=source.local"),
        ("--all", "--keep-storage", "1gb"),
        ("--all", "--reserved-space", "1gb", "--max-used-space", "1"),
        ("--all", "--max-used-space", "1gb"),
        ("--all", "--min-free-space", "1"),
        (),
    ):
        prune(*flags)
        kept = 2 if not flags else everything
        assert len(cache_records(engine)) == kept, flags
    record = cache_records(engine)[0]
    prune("--all", "--filter", f"id={record['ID']}")
    assert [each["ID"] for each in cache_records(engine)] != [record["ID"]]
    prune("--all", "--filter", "unused-for=0s")
    assert cache_records(engine) == []
