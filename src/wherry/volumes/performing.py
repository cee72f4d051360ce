"""Operations on volumes, done at once; what fails leaves nothing of them."""

from wherry.model.errors import StepFailed, WherryError
from wherry.operations.plan import Hands, Journal, Operation, OperationFailed, execute


def perform(*operations: Operation) -> Journal:
    """Do operations in order; a failure undoes those before it.

    Raises: StepFailed with the kernel's word; what a room's own work raised of our kinds.
    """
    journal: Journal = []
    try:
        execute(operations, Hands(), journal)
    except OperationFailed as failed:
        if isinstance(failed.cause, WherryError):
            raise failed.cause from None
        raise StepFailed(failed.entry.operation.describe(), failed.entry.error) from failed
    return journal
