"""Step 5, map: what fits on the same train rows share, so that nothing is computed twice.

`SharedRows` slices rows once. Of a composite estimator, a transformer with equal params on equal input is fitted and applied once:
a bench lends its `PrefixMemory` to the pipelines, unions and column transformers in an estimator (`composites`), and they fit
themselves as they always do. All that is shared is read-only; whoever must write is run again by itself, on rows of its own.
"""

from foldwise.worker.sharing.arrays import is_shareable, n_bytes, untouchable
from foldwise.worker.sharing.memory import CannotShare, PrefixMemory
from foldwise.worker.sharing.shared_rows import SharedRows, SharedRowsCache

__all__ = ["CannotShare", "PrefixMemory", "SharedRows", "SharedRowsCache", "is_shareable", "n_bytes", "untouchable"]
