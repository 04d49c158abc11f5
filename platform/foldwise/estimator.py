"""Step 9, a face: NestedSearchCV, for those who know scikit-learn's searches."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from sklearn import get_config
from sklearn.base import BaseEstimator, MetaEstimatorMixin
from sklearn.exceptions import FitFailedWarning
from sklearn.utils import Tags, get_tags
from sklearn.utils.metadata_routing import MetadataRouter, process_routing
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from foldwise.data import Dataset
from foldwise.errors import NON_FINITE, InputTypeError
from foldwise.executors import make_executor
from foldwise.inputs.checks import is_integer
from foldwise.job.launch import DEFAULT_EXPERIMENT, run_plan
from foldwise.ledger import make_ledger
from foldwise.listeners.progress import ProgressLines
from foldwise.loop.run import Interrupted, Run, native_studies
from foldwise.loop.unfinished import Unfinished
from foldwise.plan.plan import Plan
from foldwise.plan.problem import make_problem
from foldwise.plan.routing import router_of
from foldwise.plan.schedule import Schedule
from foldwise.plan.scoring import make_scoring, scorers_by_name
from foldwise.plan.settings import Settings
from foldwise.plan.study import FINAL
from foldwise.reduce.reduce import cv_results
from foldwise.report import Report
from foldwise.report.frames import outer_frame, trials_frame
from foldwise.safety.masking import shown

_SETTINGS = (
    "search", "n_trials", "batch", "outer_cv", "inner_cv", "scoring", "refit", "return_train_score", "error_score", "n_jobs",
    "schedule", "resources", "limits",
)  # fmt: skip
_OF_THE_FINAL_STUDY = (
    "best_estimator_", "best_score_", "refit_time_", "feature_names_in_", "best_params_", "best_index_", "cv_results_",
)  # fmt: skip


def _model_has(name: str) -> Callable[[NestedSearchCV], bool]:
    """Let a method exist where the model has it."""

    def check(self: NestedSearchCV) -> bool:
        if not self.refit:
            raise AttributeError(f"{name} needs a final model, and refit is False; use refit=True")
        getattr(self.best_estimator_ if hasattr(self, "best_estimator_") else self.estimator, name)
        return True

    return check


class NestedSearchCV(MetaEstimatorMixin, BaseEstimator):  # type: ignore[misc]
    """Search for params inside an outer cross-validation loop, so that the score may be published.

    The inner loop chooses, the outer loop judges the whole procedure on rows that had no part in the choice, and a final
    study over all rows gives the model. With ``inner_cv="shared"`` the inner folds are the other outer folds, so that
    fits serve several studies and each runs once.

    Parameters
    ----------
    estimator : estimator
        Any scikit-learn estimator.
    space : mapping, list of mappings, str or SearchSpace
        Name -> `Float`, `Int`, `Categorical`, list, scipy, Optuna or Ray Tune object; a list is a union; text is the
        name of a shipped space or a YAML file's path.
    search : str or Search, default="random"
        "grid", "random", "optuna" or a Search.
    n_trials : int, optional
        Trials per study; None: all of a grid, else 50. A grid is never cut.
    batch : int, default=8
        Trials that an adapting study asks before it must be told; part of the result.
    outer_cv : int, splitter or iterable, default=5
        The outer loop, as scikit-learn's ``cv``. With groups an int means a group splitter.
    inner_cv : "shared", int or splitter, default="shared"
        The inner loop.
    scoring : str, callable, list or dict, optional
        As scikit-learn takes it.
    refit : bool, str or callable, default=True
        The metric that chooses; with several metrics True means the first. False: no final model.
    return_train_score : bool, default=False
        Whether to score on train rows too.
    error_score : float or "raise", default=nan
        Score of a fit that fails; "raise" ends the search by the first one.
    n_jobs : int, optional
        At most so many fits at once; None and -1: as many as there is room for.
    verbose : int, default=0
        1: how it goes, 2: each trial, 3: each fit; to standard output.
    schedule : mapping or Schedule, optional
        How Ray Tune judges trials while they train in epochs: ``{"method": "asha", "max_epochs": 30, "grace_epochs": 3,
        "reduction": 3}``; also "hyperband", "median" and "pbt". None: each trial is trained as the estimator says.
    resources : mapping, optional
        Of one running fit or scheduled trial: cpu, gpu (a fraction shares one), memory (bytes or "4GiB"), Ray's custom ones.
    limits : mapping, optional
        In seconds: ``fit_seconds`` of one fit, which then fails; ``seconds`` of the whole search, which then keeps what is
        complete and warns; ``wait_seconds`` of waiting for resources, after which it fails.
    executor : str or Executor, default="ray"
        "ray", "serial" or an Executor.
    tracking : str, optional
        MLflow tracking URI; None: not tracked.
    experiment : str, optional
        MLflow experiment; None: that of the run that is active in the caller, else "foldwise".
    ledger : str, path or Ledger, optional
        Where finished fits are kept and found again: a file's path or a database's URL (SQLite or PostgreSQL). None: they
        are forgotten after the call; those of a call that is interrupted, or raises, are kept in memory by this object
        until the next one, which goes on from there if it is given the same.
    random_state : int, RandomState or None
        Every seed derives from it. None: one is drawn and kept as ``seed_``.

    Attributes
    ----------
    outer_scores_ : dict of str to array of shape (n_outer,)
        Outer scores per metric.
    nested_score_ : float
        Mean outer score of the metric that chooses: the score to publish.
    interval_ : (float, float) or None
        95 % interval of ``nested_score_``; the report says why there is none.
    optimism_ : float
        Mean inner score of the final study's choice minus ``nested_score_``; the choice has the best mean, unless a callable
        ``refit`` chose otherwise.
    outer_results_ : DataFrame
        Per outer fold: fold, scores, inner_best, params, n_train, n_test, seconds.
    trials_ : DataFrame
        All trials of all studies.
    studies_ : dict
        Each study's search as it ended; for Optuna its study.
    best_estimator_, best_params_, best_score_, best_index_, cv_results_, refit_time_, scorer_, n_splits_, multimetric_
        The final study's, as scikit-learn has them.
    plan_ : PlanSummary
        What was planned, without the data; ``plan_.n_fits`` distinct fits, None where a search adapts.
    n_fits_ : int
        Fits run by this call.
    seed_ : int
        The seed that was used.
    run_id_ : str or None
        The MLflow run.

    References
    ----------
    G. C. Cawley and N. L. C. Talbot. On over-fitting in model selection and subsequent selection bias in performance
    evaluation. JMLR 11, 2010.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.svm import SVC
    >>> import foldwise as fw
    >>> search = fw.NestedSearchCV(SVC(), {"C": [1, 10, 100], "gamma": [0.01, 0.1]}, search="grid", executor="serial")
    >>> search = search.fit(*load_iris(return_X_y=True))
    >>> round(search.nested_score_, 3), search.n_fits_
    (0.98, 91)
    """

    def __init__(
        self,
        estimator: Any,
        space: Any,
        *,
        search: Any = "random",
        n_trials: int | None = None,
        batch: int = 8,
        outer_cv: Any = 5,
        inner_cv: Any = "shared",
        scoring: Any = None,
        refit: Any = True,
        return_train_score: bool = False,
        error_score: Any = np.nan,
        n_jobs: int | None = None,
        verbose: int = 0,
        schedule: Mapping[str, Any] | Schedule | None = None,
        resources: Mapping[str, Any] | None = None,
        limits: Mapping[str, Any] | None = None,
        executor: Any = "ray",
        tracking: str | None = None,
        experiment: str | None = None,
        ledger: Any = None,
        random_state: Any = None,
    ) -> None:
        self.estimator = estimator
        self.space = space
        self.search = search
        self.n_trials = n_trials
        self.batch = batch
        self.outer_cv = outer_cv
        self.inner_cv = inner_cv
        self.scoring = scoring
        self.refit = refit
        self.return_train_score = return_train_score
        self.error_score = error_score
        self.n_jobs = n_jobs
        self.verbose = verbose
        self.schedule = schedule
        self.resources = resources
        self.limits = limits
        self.executor = executor
        self.tracking = tracking
        self.experiment = experiment
        self.ledger = ledger
        self.random_state = random_state

    def plan(self, X: Any, y: Any = None, *, groups: Any = None, **fit_params: Any) -> Plan:
        """Plan the search without running anything; the arguments are those of `fit`.

        Returns
        -------
        Plan
            Counted and printable: ``print(plan.explain())``.

        Raises
        ------
        InputError
            If an argument is wrong.
        """
        return self._plan(X, y, groups, fit_params, self._settings(self.random_state))

    def _plan(self, X: Any, y: Any, groups: Any, fit_params: Mapping[str, Any], settings: Settings) -> Plan:
        given = {name: value for name, value in fit_params.items() if value is not None}
        return Plan.of(make_problem(Dataset(X, y, groups, given), self.estimator, self.space, settings))

    def _settings(self, random_state: Any) -> Settings:
        asked = {name: getattr(self, name) for name in _SETTINGS}
        return Settings.of({**asked, "random_state": random_state, "name": self.experiment or DEFAULT_EXPERIMENT})

    def fit(self, X: Any, y: Any = None, *, groups: Any = None, **fit_params: Any) -> NestedSearchCV:
        """Run the nested search.

        Parameters
        ----------
        X : array, sparse matrix, frame or list of shape (n_rows, ...)
            Features.
        y : array-like of shape (n_rows,) or (n_rows, n_outputs), optional
            Targets.
        groups : array-like of shape (n_rows,), optional
            Rows of one group never stand on both sides of a fold, in either loop.
        **fit_params
            Handed to the estimator's ``fit``; what has a value per row is sliced with the rows.

        Returns
        -------
        NestedSearchCV
            This object.

        Raises
        ------
        InputError
            If an argument or the data is wrong; nothing is started.
        StudyFailedError
            If no trial of a study finished, or the first fits all failed alike; it is also of the causes' common type.
        FitFailedError
            If a fit failed and ``error_score="raise"``.
        KeyboardInterrupt
            If it is interrupted. What is complete is on this object, in a report that is marked as partial.
        """
        if not is_integer(self.verbose) or self.verbose < 0:
            raise InputTypeError("verbose", f"expected an integer >= 0, got {self.verbose!r}")
        if self.tracking is not None or self.experiment is not None:
            from foldwise.listeners.tracking import check_tracking  # lazily: only tracked searches need it

            check_tracking(self.tracking, self.experiment)
        unfinished: Unfinished = self.__dict__.get("_unfinished", Unfinished())  # stays if this call is wrong or interrupted
        settings = self._settings(unfinished.random_state_for(self.random_state))
        executor = make_executor(self.executor, settings)
        ledger = make_ledger(self.ledger)
        plan = self._plan(X, y, groups, fit_params, settings)
        in_memory = unfinished.open(plan, self.random_state)
        self._unfinished = unfinished
        ledger = in_memory if self.ledger is None else ledger
        listeners = [ProgressLines(verbose=int(self.verbose))] if self.verbose else []
        try:
            run, report, run_id = run_plan(
                plan, executor, listeners=listeners, tracking=self.tracking, experiment=self.experiment, ledger=ledger
            )
        except Interrupted as interrupted:
            self._keep(interrupted.run, Report(interrupted.archive), None)
            raise
        try:
            self._keep(run, report, run_id)
        except KeyboardInterrupt:  # what is done is kept whole before it is heard
            self._keep(run, report, run_id)
            raise
        self.__dict__.pop("_unfinished", None)
        self._warn(report)
        return self

    def __getstate__(self) -> Any:
        state = super().__getstate__()
        return {name: value for name, value in state.items() if name != "_unfinished"}

    def _warn(self, report: Report) -> None:
        """Warn of what the report holds."""
        if report.ended is not None:
            warnings.warn(shown(report.summary()), RuntimeWarning, stacklevel=3)
        if report.model_error is not None:
            warnings.warn(f"the final model could not be fitted: {report.model_error}", RuntimeWarning, stacklevel=3)
        if failures := report.failures():
            given = "" if isinstance(self.error_score, str) else f"; their score is {self.error_score}"
            raised = any(not cause.startswith(NON_FINITE) for cause, _ in report.causes)
            warnings.warn(shown(f"{failures}{given}"), FitFailedWarning if raised else UserWarning, stacklevel=3)
        for remark in report.remarks:
            warnings.warn(shown(remark), UserWarning, stacklevel=3)
        for one in report.warned:
            warnings.warn(shown(f"{one.text} ({one.n_fits} of {report.n_fits} fits)"), _category(one.category), stacklevel=3)

    def _keep(self, run: Run, report: Report, run_id: str | None) -> None:
        """Keep what was learned."""
        for name in _OF_THE_FINAL_STUDY:
            self.__dict__.pop(name, None)  # of an earlier fit
        archive, final, scoring = report.archive, run.studies[FINAL], run.scoring
        self._report = report
        self.plan_, self.n_fits_, self.seed_, self.run_id_ = archive.plan, report.n_fits, report.seed, run_id
        score = report.scores.get(report.metric)
        self.outer_scores_ = {name: np.array(one.outer) for name, one in report.scores.items()}
        self.nested_score_, self.interval_, self.optimism_ = np.nan, None, np.nan
        if score is not None:
            self.nested_score_, self.interval_, self.optimism_ = score.mean, score.interval.ends, score.optimism
        self.outer_results_ = outer_frame(report.outer)
        self.trials_ = trials_frame(archive.trials)
        self.studies_ = native_studies(run)
        self.multimetric_, self.n_splits_ = not scoring.single, len(final.study.folds)
        self.scorer_ = scorers_by_name(run.plan.problem.estimator, self.scoring)
        if final.chosen is None:  # the search ended early
            return
        self.cv_results_ = cv_results(final.trials, single=scoring.single)
        self.best_index_, self.best_params_ = final.chosen.number, dict(final.chosen.params)
        if not callable(self.refit):
            self.best_score_ = float(final.chosen.scores[scoring.objective].mean)
        if run.model is not None and run.model.error is None:
            self.best_estimator_, self.refit_time_ = run.model.model, run.model.fit_seconds
            if hasattr(self.best_estimator_, "feature_names_in_"):
                self.feature_names_in_ = self.best_estimator_.feature_names_in_

    def report(self) -> Report:
        """Return the report; print it to read it.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If `fit` was not called.
        """
        check_is_fitted(self, "outer_scores_")
        return self._report

    # --- the final model ---

    def _model(self, needed_by: str) -> Any:
        if not self.refit:
            raise AttributeError(f"{needed_by} needs a final model, and refit is False; use refit=True")
        check_is_fitted(self, "best_estimator_")
        return self.best_estimator_

    def score(self, X: Any, y: Any = None, **params: Any) -> float:
        """Score the final model by the metric that chose, on rows that it has not seen.

        Parameters
        ----------
        X, y : array-like
            The rows.
        **params
            With metadata routing enabled: what the scorer requests, such as ``sample_weight``.

        Returns
        -------
        float
            The score.
        """
        model = self._model("score")
        scorer = self.scorer_
        if isinstance(scorer, Mapping):
            scorer = scorer[self._report.metric]
        handed: Mapping[str, Any] = {}
        if params:
            if not get_config()["enable_metadata_routing"]:
                raise InputTypeError("score", f"expected X and y alone without metadata routing, got {sorted(params)}")
            handed = process_routing(self, "score", **params).scorer.score
        value = scorer(model, X, *(() if y is None else (y,)), **handed)
        return float(value[self._report.metric]) if isinstance(value, Mapping) else value

    @available_if(_model_has("predict"))
    def predict(self, X: Any) -> Any:
        """Predict by the final model."""
        return self._model("predict").predict(X)

    @available_if(_model_has("predict_proba"))
    def predict_proba(self, X: Any) -> Any:
        """Predict class probabilities by the final model, shape (n_rows, n_classes)."""
        return self._model("predict_proba").predict_proba(X)

    @available_if(_model_has("predict_log_proba"))
    def predict_log_proba(self, X: Any) -> Any:
        """Predict logarithms of class probabilities by the final model."""
        return self._model("predict_log_proba").predict_log_proba(X)

    @available_if(_model_has("decision_function"))
    def decision_function(self, X: Any) -> Any:
        """Call the final model's decision function."""
        return self._model("decision_function").decision_function(X)

    @available_if(_model_has("score_samples"))
    def score_samples(self, X: Any) -> Any:
        """Call the final model's ``score_samples``."""
        return self._model("score_samples").score_samples(X)

    @available_if(_model_has("transform"))
    def transform(self, X: Any) -> Any:
        """Transform by the final model."""
        return self._model("transform").transform(X)

    @available_if(_model_has("inverse_transform"))
    def inverse_transform(self, X: Any) -> Any:
        """Transform back by the final model."""
        return self._model("inverse_transform").inverse_transform(X)

    @property
    def classes_(self) -> Any:
        """Class labels, of shape (n_classes,); only where the final model has them."""
        _model_has("classes_")(self)
        return self.best_estimator_.classes_

    @property
    def n_features_in_(self) -> int:
        """Number of features seen by `fit`; only once it was called."""
        try:
            check_is_fitted(self, "best_estimator_")
        except ValueError as error:
            raise AttributeError(f"{type(self).__name__} object has no n_features_in_ attribute.") from error
        return int(self.best_estimator_.n_features_in_)

    def get_metadata_routing(self) -> MetadataRouter:
        """Return who requests what is given to `fit` and `score`, as scikit-learn's metadata routing asks.

        Returns
        -------
        sklearn.utils.metadata_routing.MetadataRouter
            For the estimator, the scorer and the splitters.
        """
        scorer = make_scoring(self.estimator, self.scoring, self.refit).scorer
        return router_of(self, self.estimator, scorer, self.outer_cv, self.inner_cv)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        of_estimator = get_tags(self.estimator)
        tags.estimator_type = of_estimator.estimator_type
        tags.classifier_tags = of_estimator.classifier_tags
        tags.regressor_tags = of_estimator.regressor_tags
        tags.target_tags = of_estimator.target_tags
        tags.input_tags = of_estimator.input_tags
        tags.array_api_support = False
        return tags


def _category(name: str) -> type[Warning]:
    """Find the class of a fit's warning, ``module:Class``, where its module is loaded here."""
    module, _, attribute = name.partition(":")
    category = getattr(sys.modules.get(module), attribute, None)
    return category if isinstance(category, type) and issubclass(category, Warning) else UserWarning
