"""The ledger: finished fits by key, if they hold every score that is asked for."""

from foldwise.errors import Failure
from foldwise.ledger import MemoryLedger
from foldwise.trial import Fit, FitResult


def test_a_fit_is_found_if_its_scores_are_there_or_it_failed():
    ledger = MemoryLedger()
    wanted = Fit("a", "train", ("x", "y"), {}, 0)
    assert ledger.find(wanted) is None
    ledger.put([FitResult("a", {"x": {"score": 1.0}}, 0.0)])
    assert ledger.find(wanted) is None
    ledger.put([FitResult("a", {"x": {"score": 1.0}, "y": {"score": 0.5}}, 0.0)])
    assert ledger.find(wanted).scores["y"] == {"score": 0.5}
    ledger.put([FitResult("a", {}, 0.0, error=Failure("ValueError", "no"))])
    assert ledger.find(wanted).error.kind == "ValueError"
