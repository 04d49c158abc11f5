"""What names a fit: digests of content, code as it is loaded, versions.

If two fits might differ, their keys differ. A key that is too wide costs seconds; one that is too narrow costs the truth.
"""

from foldwise.keys.digester import Deferred, Digester, derive_seed, digest, digest_rows, label

__all__ = ["Deferred", "Digester", "derive_seed", "digest", "digest_rows", "label"]
