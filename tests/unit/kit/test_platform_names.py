"""Platforms in containerd's words and spellings."""

import pytest

from wherry.kit.platform_names import PlatformName, one_spelling, read_platform

HOST = PlatformName("linux", "arm", "v6")


@pytest.mark.parametrize(
    ("text", "platform"),
    [
        ("linux", ("linux", "arm", "v6", "")),
        ("windows", ("windows", "arm", "v6", "")),
        ("macos", ("darwin", "arm", "v6", "")),
        ("arm64", ("linux", "arm64", "", "")),
        ("arm", ("linux", "arm", "", "")),
        ("armel", ("linux", "arm", "v6", "")),
        ("x86_64", ("linux", "amd64", "", "")),
        ("LINUX/AArch64", ("linux", "arm64", "", "")),
        ("linux/armhf", ("linux", "arm", "", "")),
        ("linux/arm/7", ("linux", "arm", "v7", "")),
        ("linux/arm64/8", ("linux", "arm64", "v8", "")),
        ("linux/amd64/v1", ("linux", "amd64", "", "")),
        ("linux/amd64/v3", ("linux", "amd64", "v3", "")),
        ("windows(10.0)/amd64", ("windows", "amd64", "", "10.0")),
        ("made-up/of-nothing", ("made-up", "of-nothing", "", "")),
    ],
)
def test_readings(text: str, platform: tuple[str, str, str, str]) -> None:
    """What is left out is the host's; each part has one spelling."""
    assert read_platform(text, host=HOST) == platform


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("foo", '"foo": unknown operating system or architecture'),
        ("wasip1", '"wasip1": unknown operating system or architecture'),
        ("lin*", '"lin*": wildcards not yet supported'),
        ("", '"" is an invalid OS component of ""'),
        ("linux\n", "is an invalid OS component of"),
        ("linux/a b", '"a b" is an invalid component of "linux/a b"'),
        ("linux/arm64/v8/x", '"linux/arm64/v8/x": cannot parse platform specifier'),
    ],
)
def test_problems(text: str, problem: str) -> None:
    """One sentence, with the part that is wrong."""
    with pytest.raises(ValueError, match=r"invalid argument$") as refused:
        read_platform(text, host=HOST)
    assert problem in str(refused.value)


def test_one_spelling_is_stable() -> None:
    """What has its one spelling keeps it."""
    for pair in (("armv7l", ""), ("arm", ""), ("aarch64", "v8"), ("i686", "x"), ("arm", "5")):
        assert one_spelling(*one_spelling(*pair)) == one_spelling(*pair)
