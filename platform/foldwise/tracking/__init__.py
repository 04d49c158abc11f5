"""Events -> MLflow. Tracking only listens: a search never waits or fails because a server is down."""

from foldwise.tracking.mlflow import MlflowTracker

__all__ = ["MlflowTracker"]
