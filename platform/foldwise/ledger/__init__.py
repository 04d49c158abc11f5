"""Step 5, map: finished fits and their scores, kept before anyone is told of them, so that nothing finished is lost."""

from foldwise.ledger.base import Finished, Ledger, LedgerView, NoLedger
from foldwise.ledger.memory import MemoryLedger
from foldwise.ledger.named import DEFAULT_LEDGER, ENVIRONMENT_LEDGER, default_ledger, make_ledger

__all__ = [
    "DEFAULT_LEDGER",
    "ENVIRONMENT_LEDGER",
    "Finished",
    "Ledger",
    "LedgerView",
    "MemoryLedger",
    "NoLedger",
    "default_ledger",
    "make_ledger",
]  # fmt: skip
