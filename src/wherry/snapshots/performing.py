"""Operations on trees, done at once and here; what fails leaves nothing of them."""

from wherry.model.errors import StepFailed
from wherry.operations.plan import Hands, Journal, Operation, OperationFailed, execute


def perform(*operations: Operation, hands: Hands | None = None) -> Journal:
    """Do operations in order; a failure undoes those before it.

    Raises: StepFailed with the kernel's word; whatever else their own work raised, as it was.
    """
    journal: Journal = []
    try:
        execute(operations, hands or Hands(), journal)
    except OperationFailed as failed:
        if not isinstance(failed.cause, OSError):
            raise failed.cause from None
        operation = failed.entry.operation
        raise StepFailed(operation.describe(), failed.entry.error) from failed.cause
    return journal
