"""An estimator whose module takes seconds to import on workers, and whose fit imports another such module."""

import sys
import time
from pathlib import Path

from sklearn.linear_model import SGDClassifier

sys.path.append(str(Path(__file__).parent))
if "default_worker" in sys.argv[0]:  # Ray's
    time.sleep(3.0)


class ImportsLate(SGDClassifier):
    """Imports what it needs when it needs it."""

    def fit(self, X, y, coef_init=None, intercept_init=None, sample_weight=None):
        import slow_to_import  # noqa: F401  (lazily, as it is done)

        return super().fit(X, y)

    def partial_fit(self, X, y, classes=None, sample_weight=None):
        import slow_to_import  # noqa: F401  (likewise)

        return super().partial_fit(X, y, classes=classes)
