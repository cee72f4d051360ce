"""What can be wrong with a Compose project."""


class ComposeError(Exception):
    """A file, a variable or a project that can't be used; the text is for the user."""


class BadValue(ComposeError):
    """A value that is not of its field's kind; the place grows as the error goes up."""

    def __init__(self, problem: str, place: tuple[str | int, ...] = ()) -> None:
        super().__init__(problem)
        self.problem = problem
        self.place = place

    def shown_place(self) -> str:
        """`.volumes[0].tmpfs.size`."""
        return "".join(f"[{each}]" if isinstance(each, int) else f".{each}" for each in self.place)
