"""Names that others have chosen, in texts that people read and in scripts that root runs."""


def visible(line: str) -> str:
    """A line with every control character shown, so that none moves the cursor."""
    return "".join(each if each.isprintable() else f"\\x{ord(each):02x}" for each in line)


def one_line(text: str) -> str:
    """The text without line ends, all of it visible.

    What an image calls its directories must not end a comment of a script, and go on as a command.
    """
    return visible(" ".join(text.split()))


def comment(text: str) -> str:
    """A comment of a shell's or of Python's."""
    return f"# {one_line(text)}"
