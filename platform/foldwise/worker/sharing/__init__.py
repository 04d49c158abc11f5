"""Step 5, map: what fits on the same train rows share, so that nothing is computed twice.

`SharedRows` slices rows once. It lends its `PrefixMemory` to the pipelines, unions and column transformers in an estimator
(`composites`), which fit themselves as they always do: a transformer with equal params on equal input is fitted and applied
once. All that is shared is read-only. A fit that must write runs again by itself, on rows of its own.
"""

from foldwise.worker.sharing.arrays import is_shareable, n_bytes, untouchable
from foldwise.worker.sharing.memory import CannotShare, PrefixMemory
from foldwise.worker.sharing.shared_rows import SharedRows, SharedRowsCache

__all__ = ["CannotShare", "PrefixMemory", "SharedRows", "SharedRowsCache", "is_shareable", "n_bytes", "untouchable"]
