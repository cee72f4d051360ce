"""Image references."""

import pytest

from wherry.images.references import parse, parse_new
from wherry.model.errors.images import InvalidReference, UnusableReference

DIGEST = "sha256:" + "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("text", "repository", "tag", "familiar"),
    [
        ("busybox", "docker.io/library/busybox", "", "busybox"),
        ("busybox:1.36", "docker.io/library/busybox", "1.36", "busybox:1.36"),
        ("library/busybox", "docker.io/library/busybox", "", "busybox"),
        ("docker.io/busybox", "docker.io/library/busybox", "", "busybox"),
        ("index.docker.io/a/b:c", "docker.io/a/b", "c", "a/b:c"),
        ("user/app_x--y.z", "docker.io/user/app_x--y.z", "", "user/app_x--y.z"),
        ("localhost/app", "localhost/app", "", "localhost/app"),
        ("localhost:5000/app:t", "localhost:5000/app", "t", "localhost:5000/app:t"),
        ("reg.example/a/b/c", "reg.example/a/b/c", "", "reg.example/a/b/c"),
        ("[2001:db8::1]:5000/app", "[2001:db8::1]:5000/app", "", "[2001:db8::1]:5000/app"),
        ("Host/app", "Host/app", "", "Host/app"),
        ("a:" + "t" * 128, "docker.io/library/a", "t" * 128, "a:" + "t" * 128),
    ],
)
def test_names_that_people_type(text: str, repository: str, tag: str, familiar: str) -> None:
    """Each stands for one full name, and is shown again in its short form."""
    reference = parse(text)
    assert (reference.repository, reference.tag, reference.familiar) == (repository, tag, familiar)


def test_digest_and_default_tag() -> None:
    """A digest makes a tag unnecessary; without either there is `latest`."""
    pinned = parse(f"busybox:1@{DIGEST}")
    assert (pinned.tag, pinned.digest) == ("1", DIGEST)
    assert parse(f"busybox@{DIGEST}").with_default_tag().tag == ""
    assert parse("busybox").with_default_tag().familiar == "busybox:latest"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "invalid reference format"),
        (":tag", "invalid reference format"),
        ("a:", "invalid reference format"),
        ("a b", "invalid reference format"),
        ("a\n", "invalid reference format"),
        ("a:t\n", "invalid reference format"),
        ("a:\u0661", "invalid reference format"),
        ("b\u00fcsybox", "invalid reference format"),
        ("-a", "invalid reference format"),
        ("a/../b", "invalid reference format"),
        ("a//b", "invalid reference format"),
        ("a@sha256:12", "invalid reference format"),
        ("a:" + "t" * 129, "invalid reference format"),
        ("Busybox", "repository name (library/Busybox) must be lowercase"),
        ("reg.example/App", "repository name (App) must be lowercase"),
        ("a" * 256, "repository name must not be more than 255 characters"),
    ],
)
def test_texts_that_are_no_names(text: str, problem: str) -> None:
    """Each is refused with Docker's sentence."""
    with pytest.raises(InvalidReference) as caught:
        parse(text)
    assert caught.value.problem == problem


def test_an_id_is_no_name() -> None:
    """64 hexadecimal digits always mean an image, so nothing can be called so."""
    with pytest.raises(InvalidReference) as caught:
        parse("a" * 64)
    assert "64-byte hexadecimal" in caught.value.problem


@pytest.mark.parametrize("text", ["sha256", "sha256:abc", "docker.io/library/sha256:1"])
def test_no_image_is_called_as_an_algorithm(text: str) -> None:
    """What can't be told from the beginning of an identifier becomes no name."""
    with pytest.raises(UnusableReference) as caught:
        parse_new(text)
    assert "ambiguous tag" in caught.value.problem
    assert parse_new("mine/sha256").tag == "latest"
