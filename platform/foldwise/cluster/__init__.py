"""Step 9, a face: jobs on a Ray cluster, submitted through Ray's Jobs API.

The flow: `submit` makes a `Parcel` of a Job, which `JobsApi` sends; Ray starts `driver` on the head, which runs the job and
writes a `Postscript` to its log; `SubmittedJob` reads it.
"""

from foldwise.cluster.handle import SubmittedJob
from foldwise.cluster.sending import connect, submit, submitted
from foldwise.cluster.submission import Submission, SubmissionState

__all__ = ["Submission", "SubmissionState", "SubmittedJob", "connect", "submit", "submitted"]
