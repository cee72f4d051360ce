"""What a task group raises, as what went wrong first."""


def first_failure(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The failure that ended a task group; the others followed from it."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
