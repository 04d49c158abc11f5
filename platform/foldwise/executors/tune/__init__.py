"""Step 5, map, with a schedule: whole trials on Ray Tune, each judged while it trains; plain fits go to the same processes.

The flow: the run submits tasks at a `TaskQueue`; Tune's thread takes them there through its `Searcher` and hands in what came of
them through its `Callback`. One Tuner serves all studies, since its actors, which are costly to start, then serve whichever
study has work; a scheduler of its own judges each study, and hears of no other. What runs in an actor is a `Lockstep`.
"""

from foldwise.executors.tune.executor import TuneExecutor

__all__ = ["TuneExecutor"]
