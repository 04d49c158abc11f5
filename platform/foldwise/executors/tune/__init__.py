"""Step 5, map, with a schedule: whole trials on Ray Tune, each judged while it trains; plain fits go to the same processes.

The flow: the run submits tasks to a `TaskQueue`. Tune's thread takes them there through `QueueSearcher`, and completes them
through `TuneCallback`. One Tuner serves all studies, since its actors, which are costly to start, then serve whichever study
has work. A scheduler of its own judges each study, and sees no other. An actor trains a `Lockstep`.
"""

from foldwise.executors.tune.executor import TuneExecutor

__all__ = ["TuneExecutor"]
