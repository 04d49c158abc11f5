"""Step 8, show: events -> MLflow. Tracking only listens: a search never waits or fails because a server is down."""

from foldwise.listeners.tracking.load import load_model
from foldwise.listeners.tracking.lookup import active_run, find_report, load_archive, serve_ui
from foldwise.listeners.tracking.mlflow import MlflowTracker
from foldwise.listeners.tracking.spool import UNTRACKED
from foldwise.listeners.tracking.sync_spool import sync_all
from foldwise.listeners.tracking.uri import check_tracking, check_uri

__all__ = [
    "UNTRACKED", "MlflowTracker", "active_run", "check_tracking", "check_uri", "find_report", "load_archive", "load_model",
    "serve_ui", "sync_all",
]  # fmt: skip
