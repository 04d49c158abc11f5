"""What tracking relies on of MLflow's private parts, each with its reason. A test of each fails when a version changes it."""

from __future__ import annotations

FIRST_TABLES = {"experiments", "runs", "alembic_version"}
"""Tables that MLflow's first migrations make. MLflow cannot tell whether another process is at its migrations."""

FILLED_TABLES = ("alembic_version", "experiments")
"""Tables that have a row once all migrations are done: a version and, last of all, the default experiment."""
