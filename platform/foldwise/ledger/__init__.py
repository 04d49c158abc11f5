"""Step 5, map: finished fits and their scores, kept before anyone is told of them, so that nothing finished is lost."""

from foldwise.ledger.base import Entries, Finished, Ledger, NoLedger
from foldwise.ledger.memory import MemoryLedger
from foldwise.ledger.named import DEFAULT_LEDGER, is_url, make_ledger

__all__ = ["DEFAULT_LEDGER", "Entries", "Finished", "Ledger", "MemoryLedger", "NoLedger", "is_url", "make_ledger"]
