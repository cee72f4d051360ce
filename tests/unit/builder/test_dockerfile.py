"""The Dockerfile language."""

import random
import re
import time
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.mutations import mutated
from wherry.builder import dockerfile as language
from wherry.builder.dockerfile import Scope, parse
from wherry.model.errors.builds import DockerfileRefused


def steps(text: str) -> tuple[language.Instruction, ...]:
    """The instructions behind `FROM a`."""
    return parse(f"FROM a\n{text}".encode()).stages[0].steps


def refusal(text: str) -> tuple[int, str]:
    """Line and sentence of what is wrong with a Dockerfile."""
    with pytest.raises(DockerfileRefused) as caught:
        parse(text.encode())
    return caught.value.line, caught.value.problem


# -- lines -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("RUN echo a \\\n  b", "echo a   b"),
        ("RUN echo a \\\n# comment\n\n  b", "echo a   b"),
        ("RUN echo a \\  \nb", "echo a b"),
        ("   run   echo a", "echo a"),
        ("RUN echo a \\\r\n b\r", "echo a  b"),
        ("RUN echo a\\\\", "echo a\\\\"),
        ("RUN echo # no comment", "echo # no comment"),
    ],
)
def test_lines_are_joined(text: str, command: str) -> None:
    """Continuations, comments between them, blanks, and carriage returns."""
    (step,) = steps(text)
    assert isinstance(step, language.Run)
    assert step.command.words == (command,)


def test_the_escape_directive() -> None:
    """A backtick continues lines instead; the backslash is a character like any other."""
    (step,) = parse(b"# escape=`\nFROM a\nRUN dir c:\\ `\n b").stages[0].steps
    assert isinstance(step, language.Run)
    assert step.command.words == ("dir c:\\  b",)


@pytest.mark.parametrize(
    ("text", "line", "sentence"),
    [
        ("", 0, "file with no instructions"),
        ("# only a comment\n", 0, "file with no instructions"),
        ("RUN a", 1, "no build stage in current context"),
        ("ARG a=1", 0, "dockerfile contains no stages to build"),
        ("FROM", 1, "FROM requires either one or three arguments"),
        ("FROM a b", 1, "FROM requires either one or three arguments"),
        (
            "FROM a AS 1b",
            1,
            'invalid name for build stage: "1b", name can\'t start with a number or contain '
            "symbols",
        ),
        ("FROM a\n\nFOO x", 3, "unknown instruction: FOO"),
        ("FROM a\nRUNN x", 2, "unknown instruction: RUNN (did you mean RUN?)"),
        ("FROM a\nRUN", 2, "RUN requires at least one argument"),
        ("FROM a\nCOPY", 2, "COPY requires at least two arguments"),
        (
            "FROM a\nCOPY x",
            2,
            "COPY requires at least two arguments, but only one was provided. Destination could "
            "not be determined",
        ),
        ("FROM a\nADD", 2, "ADD requires at least two arguments"),
        ("FROM a\nENV", 2, "ENV requires at least one argument"),
        ("FROM a\nENV a", 2, "ENV must have two arguments"),
        (
            "FROM a\nENV a=1 b",
            2,
            'Syntax error - can\'t find = in "b". Must be of the form: name=value',
        ),
        ("FROM a\nENV =1", 2, "ENV names can not be blank"),
        ("FROM a\nLABEL", 2, "LABEL requires at least one argument"),
        ("FROM a\nARG", 2, "ARG requires at least one argument"),
        ("FROM a\nEXPOSE", 2, "EXPOSE requires at least one argument"),
        ("FROM a\nVOLUME", 2, "VOLUME requires at least one argument"),
        ("FROM a\nUSER", 2, "USER requires exactly one argument"),
        ("FROM a\nWORKDIR", 2, "WORKDIR requires exactly one argument"),
        ("FROM a\nSHELL sh -c", 2, "SHELL requires the arguments to be in JSON form"),
        ("FROM a\nSTOPSIGNAL", 2, "STOPSIGNAL requires exactly one argument"),
        ("FROM a\nHEALTHCHECK", 2, "HEALTHCHECK requires at least one argument"),
        ("FROM a\nHEALTHCHECK NONE x", 2, "HEALTHCHECK NONE takes no arguments"),
        ("FROM a\nHEALTHCHECK FOO x", 2, 'Unknown type "FOO" in HEALTHCHECK (try CMD)'),
        ("FROM a\nHEALTHCHECK CMD", 2, "Missing command after HEALTHCHECK CMD"),
        ("FROM a\nHEALTHCHECK --retries=-1 CMD x", 2, "--retries cannot be negative (-1)"),
        (
            "FROM a\nHEALTHCHECK --interval=1us CMD x",
            2,
            'Interval "interval" cannot be less than 1ms',
        ),
        ("FROM a\nONBUILD", 2, "ONBUILD requires at least one argument"),
        (
            "FROM a\nONBUILD ONBUILD RUN x",
            2,
            "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed",
        ),
        ("FROM a\nONBUILD FROM b", 2, "FROM isn't allowed as an ONBUILD trigger"),
        ("FROM a\nONBUILD FOO b", 2, "unknown instruction: FOO"),
        ("FROM a\nMAINTAINER", 2, "MAINTAINER requires exactly one argument"),
        ("FROM a\nCOPY --form=b x y", 2, "unknown flag: --form (did you mean from?)"),
        ("FROM a\nCOPY --from=a --from=b x y", 2, "duplicate flag specified: from"),
        ("FROM a\nCOPY --chown x y", 2, "missing a value on flag: chown"),
        ("FROM a\nCOPY --link=2 x y", 2, "expecting boolean value for flag link, not: 2"),
        ("FROM a\nRUN --network=foo x", 2, "invalid network mode: foo"),
        ("FROM a\nRUN --security=foo x", 2, 'security "foo" is not valid'),
        ("FROM a\nRUN --mount=type=foo x", 2, 'unsupported mount type "foo"'),
        ("FROM a\nRUN --mount=type=cache x", 2, "cache mount requires a target"),
        (
            "FROM a\nRUN --mount=type=tmpfs,target=/a,foo=1 x",
            2,
            "unexpected key 'foo' in 'type=tmpfs,target=/a,foo=1'",
        ),
        ("FROM a\nRUN <<EOF\nx", 2, "unterminated heredoc"),
        ("FROM a\nCOPY x <<EOF\nEOF", 2, "COPY cannot accept a heredoc as a destination"),
        ("# escape=x\nFROM a", 1, "invalid escape token 'x' does not match ` or \\"),
        ("# escape=`\n# escape=`\nFROM a", 2, "only one escape parser directive can be used"),
        ("FROM a\nRUN \0", 2, "the line contains a NUL byte"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(text: str, line: int, sentence: str) -> None:
    """Docker's sentence, and the line where the instruction begins."""
    assert refusal(text) == (line, sentence)


# -- instructions ----------------------------------------------------------------------------


def test_stages_and_their_flags() -> None:
    """Names are in lower case; ARG before the first FROM is no stage's."""
    found = parse(b"ARG V=1\nFROM --platform=linux/arm64 a:$V AS Build\nFROM build")
    assert [each.start.name for each in found.stages] == ["build", ""]
    assert found.stages[0].start.platform == "linux/arm64"
    assert found.arguments[0].pairs == (("V", "1"),)


def test_the_two_forms_of_a_command() -> None:
    """JSON is the exec form; what only looks like it goes to the shell."""
    shell, exec_form, broken = steps('CMD a b\nENTRYPOINT ["a", "b"]\nCMD [\'a\']')
    assert isinstance(shell, language.Cmd)
    assert shell.command.is_for_shell
    assert isinstance(exec_form, language.Entrypoint)
    assert exec_form.command.words == ("a", "b")
    assert not exec_form.command.is_for_shell
    assert isinstance(broken, language.Cmd)
    assert broken.command.words == ("['a']",)


def test_pairs_of_both_forms() -> None:
    """Quotes stay in the words until variables are put in."""
    new, old = steps('ENV a=1 b="2 3" c=4\\ 5\nENV d e  f')
    assert isinstance(new, language.Env)
    assert new.pairs == (("a", "1"), ("b", '"2 3"'), ("c", "4\\ 5"))
    assert isinstance(old, language.Env)
    assert old.pairs == (("d", "e  f"),)


def test_heredocs() -> None:
    """Content belongs to the instruction; `<<-` loses tabs; a quoted name is not expanded."""
    run, copy = steps("RUN <<EOF\na\nFROM b\nEOF\nCOPY <<-x <<'y' /d/\n\ta\n\tx\n$b\ny")
    assert isinstance(run, language.Run)
    assert run.command.files[0].content == "a\nFROM b\n"
    assert isinstance(copy, language.Copy)
    assert [(each.name, each.content, each.expands) for each in copy.inlines] == [
        ("x", "a\n", True),
        ("y", "$b\n", False),
    ]


def test_mounts_of_run() -> None:
    """Short names of options become their long ones."""
    (run,) = steps(
        "RUN --mount=type=cache,dst=/c,id=x,sharing=locked --mount=src=a,target=/b,rw x"
    )
    assert isinstance(run, language.Run)
    cache, bind = run.mounts
    assert (cache.kind, cache.options["target"]) == ("cache", "/c")
    assert (bind.kind, bind.options["source"], bind.options["readwrite"]) == ("bind", "a", "true")


# -- variables -------------------------------------------------------------------------------

VALUES = {"a": "one", "empty": "", "path": "/usr/lib/x.tar.gz", "b": "two words"}


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("$a", "one"),
        ("${a}", "one"),
        ("x${a}y", "xoney"),
        ("$ab", ""),
        ("$a-b", "one-b"),
        ("\\$a", "$a"),
        ("'$a'", "$a"),
        ('"$a"', "one"),
        ('"\\$a"', "$a"),
        ('"\\x"', "\\x"),
        ("a\\ b", "a b"),
        ("$", "$"),
        ("${none:-x}", "x"),
        ("${empty:-x}", "x"),
        ("${empty-x}", ""),
        ("${none-x}", "x"),
        ("${a:+x}", "x"),
        ("${empty:+x}", ""),
        ("${empty+x}", "x"),
        ("${none:-${a}}", "one"),
        ("${none:-${a:+${b}}}", "two words"),
        ("${a:?no}", "one"),
        ("${path#*/}", "usr/lib/x.tar.gz"),
        ("${path##*/}", "x.tar.gz"),
        ("${path%.*}", "/usr/lib/x.tar"),
        ("${path%%.*}", "/usr/lib/x"),
        ("${path/lib/LIB}", "/usr/LIB/x.tar.gz"),
        ("${path//r/R}", "/usR/lib/x.taR.gz"),
        ("${a#?}", "ne"),
        ("${a#x}", "one"),
    ],
)
def test_variables(word: str, expected: str) -> None:
    """Every modifier; quotes and escapes are taken off."""
    assert Scope(VALUES).word(word) == expected


@pytest.mark.parametrize(
    ("word", "sentence"),
    [
        ("${a", "failed to process \"${a\": syntax error: missing '}'"),
        ("${", "failed to process \"${\": syntax error: missing '}'"),
        ("${}", 'failed to process "${}": syntax error: bad substitution'),
        ("${a:z}", 'failed to process "${a:z}": unsupported modifier (z) in substitution'),
        ("${none:?}", 'failed to process "${none:?}": none: not allowed to be empty'),
        ("${none?x y}", 'failed to process "${none?x y}": none: x y'),
        (
            '"a',
            'failed to process "\\"a": unexpected end of statement while looking for matching '
            "double-quote",
        ),
    ],
)
def test_words_that_are_wrong(word: str, sentence: str) -> None:
    """Docker's sentence, with the word."""
    with pytest.raises(ValueError, match=re.escape(sentence)) as caught:
        Scope(VALUES).word(word)
    assert str(caught.value) == sentence


def test_words_are_split_where_variables_have_blanks() -> None:
    """Unless they are quoted."""
    assert Scope(VALUES).words("$b") == ["two", "words"]
    assert Scope(VALUES).words('"$b"') == ["two words"]
    assert Scope(VALUES).words("x${b}y") == ["xtwo", "wordsy"]
    assert Scope(VALUES).words("$none") == []


# -- hostile ---------------------------------------------------------------------------------


@given(st.binary(max_size=400))
@settings(max_examples=300, deadline=None)
def test_any_bytes_are_understood_or_refused(content: bytes) -> None:
    """Nothing but a refusal ever comes out."""
    with suppress(DockerfileRefused):
        parse(b"FROM a\n" + content)


@given(st.text(alphabet="${}:-+?#%/\\\"' ab*[]", max_size=60))
@settings(max_examples=500, deadline=None)
def test_any_word_is_expanded_or_refused(word: str) -> None:
    """Nothing but a sentence ever comes out."""
    with suppress(ValueError):
        Scope(VALUES).words(word)


@pytest.mark.parametrize(
    "content",
    [
        b"FROM a\nRUN " + b"x" * (100 << 20),
        b"FROM a\nRUN x\\\n" + b"y\\\n" * 500_000,
        b"FROM a\n" * 10_000,
        b"FROM a\nRUN <<EOF\n" + b"x\n" * 500_000,
        b"FROM a\nENV " + b"a=1 " * 15_000,
        b"FROM a\nENV " + b"\\\n".join([b"a=" + b'"' * 60_000] * 3),
        b"FROM a\nCMD " + b"[" * 60_000,
    ],
    ids=["line", "continuations", "stages", "heredoc", "pairs", "quotes", "brackets"],
)
def test_large_files_are_read_in_linear_time(content: bytes) -> None:
    """A few seconds are enough for each, even on a slow and busy machine."""
    begin = time.process_time()
    with suppress(DockerfileRefused):
        parse(content)
    assert time.process_time() - begin < 20


def test_values_that_double_are_bounded() -> None:
    """`ENV b=$a$a` thirty times over would need gigabytes."""
    values = {"a": "x" * 1000}
    with pytest.raises(ValueError, match="the result is longer than"):
        for _round in range(30):
            values["a"] = Scope(values).word("$a$a")


# -- mistakes by chance ----------------------------------------------------------------------

EVERYTHING = b"""# escape=\\
ARG A=1
FROM busybox:$A AS one
ARG B="x y"
ENV C=${B:-z} D="$A"
RUN --mount=type=cache,target=/c --network=none echo $C \\
  && true
COPY --chown=1:2 --from=one a* /b/
ADD --checksum=sha256:0 http://x/y /z
HEALTHCHECK --interval=5s CMD ["true"]
RUN <<EOF
echo hi
EOF
FROM one
ONBUILD RUN true
CMD ["a", "b"]
"""
MARKS = (b"\0", b"\r", b"\xc2\xa0", b"<<X", b"${", b"\\\n")


def test_two_thousand_mutated_dockerfiles() -> None:
    """Each is understood, or refused with a reason (X10)."""
    dice = random.Random(7)
    refused = 0
    for _number in range(2000):
        try:
            parse(mutated(dice, EVERYTHING, MARKS))
        except DockerfileRefused:
            refused += 1
    assert 200 < refused < 2000
