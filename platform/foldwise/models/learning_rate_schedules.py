"""Learning rates: what each step of an epoch is trained with. Pure functions, so that any epoch can be trained by itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

FLOOR = 0.01
"""Share of the first rate that is left at the end of a schedule."""

_LESS = 1e-4
"""What counts as an improvement of a loss."""

_Factors = Callable[[np.ndarray], np.ndarray]

_BY_PROGRESS: Mapping[str, _Factors] = {
    "constant": np.ones_like,
    "exponential": lambda progress: FLOOR**progress,
    "cosine": lambda progress: FLOOR + (1 - FLOOR) * 0.5 * (1 + np.cos(np.pi * progress)),
}

LEARNING_RATE_SCHEDULES = (*_BY_PROGRESS, "plateau")


def learning_rates(
    schedule: str, first: float, epoch: int, horizon: int, n_steps: int, losses: Sequence[float], patience: int
) -> np.ndarray:
    """Return the learning rate of each step of an epoch.

    Parameters
    ----------
    schedule : str
        ``"constant"``; ``"exponential"`` and ``"cosine"``, which fall to a hundredth over the horizon and stay there; or
        ``"plateau"``, which halves the rate whenever the loss has not improved for ``patience`` epochs.
    first : float
        Rate to begin with.
    epoch : int
        Number of epochs trained before.
    horizon : int
        Epochs after which the schedule has come to its end.
    n_steps : int
        Steps of the epoch.
    losses : sequence of float
        The watched loss of each epoch trained before.
    patience : int
        Epochs without improvement after which ``"plateau"`` cools down.

    Returns
    -------
    array of shape (n_steps,)
        The rates.

    Examples
    --------
    >>> learning_rates("exponential", 0.1, epoch=1, horizon=2, n_steps=2, losses=[1.0], patience=2).round(4).tolist()
    [0.01, 0.0032]
    """
    if schedule == "plateau":
        return np.full(n_steps, first * 0.5 ** n_plateaus(losses, patience))
    progress = np.minimum((epoch + np.arange(n_steps) / n_steps) / horizon, 1.0)
    return first * _BY_PROGRESS[schedule](progress)


def n_plateaus(losses: Sequence[float], patience: int) -> int:
    """Count how often a loss has not improved for so many epochs; each time the count begins anew.

    Examples
    --------
    >>> n_plateaus([1.0, 0.5, 0.5, 0.5, 0.6, 0.5], patience=2)
    2
    """
    best, waited, count = np.inf, 0, 0
    for loss in losses:
        best, waited = (loss, 0) if loss < best - _LESS else (best, waited + 1)
        if waited == patience:
            waited, count = 0, count + 1
    return count
