"""Step 7, show: events -> MLflow. Tracking only listens: a search never waits or fails because a server is down."""

from foldwise.tracking.lookup import active_run, find_report, serve_ui
from foldwise.tracking.mlflow import MlflowTracker

__all__ = ["MlflowTracker", "active_run", "find_report", "serve_ui"]
