"""Step 5, map: a fit uses as many threads as it holds cores, by whatever library it trains.

No single means reaches all libraries. Thread pools of BLAS and OpenMP that are loaded are limited one by one (``pools``);
libraries with a setter of their own are told by it, CatBoost by the arguments that it is called with (``runtimes``,
``compat``); what asks the environment, and what is loaded only within the fit, finds the number there (``limits``). All of
it is put back when the fits are over, and none of it changes a param of an estimator.
"""

from foldwise.worker.threads.limits import limited_threads

__all__ = ["limited_threads"]
