"""A command written as one string, split as a shell would, without a shell's variables."""

from wherry.compose.errors import BadValue


def split_words(text: str) -> list[str]:
    """The words. Raises: BadValue for a quote without an end."""
    import shlex

    lexer = shlex.shlex(text, posix=True, punctuation_chars=False)
    lexer.whitespace_split = True
    lexer.commenters = ""
    try:
        return list(lexer)
    except ValueError:
        raise BadValue(f"invalid command line string: {text}") from None
