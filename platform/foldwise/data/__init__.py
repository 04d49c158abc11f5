"""Step 2, open: the data behind a handle. Nothing else touches X."""

from foldwise.data.dataset import Dataset, Slice
from foldwise.data.sources import load_dataset

__all__ = ["Dataset", "Slice", "load_dataset"]
