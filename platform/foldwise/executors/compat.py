"""What the executors rely on of Ray's private parts, each with its reason. A test of each fails when a version changes it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any


def private_options(folder: Path) -> dict[str, Any]:
    """Return options of ``ray.init`` that keep a Ray's files in a folder, and close its page of metrics.

    Ray has no public way. Its environment variable for the folder, ``RAY_TMPDIR``, is the user's, and would move the files of
    other Rays too. The page of metrics listens on every interface and asks for no token.
    """
    return {"_temp_dir": str(folder), "_system_config": {"enable_metrics_collection": False}}


def waited_for(ray: Any) -> list[Mapping[str, float]]:
    """List the amounts that tasks, actors and placement groups of all jobs wait for, this job's too; each amount once.

    Ray's public APIs tell what is free, and not who waits: its State API needs the dashboard, which a cluster may lack. Without
    this `Turns` could not take turns with jobs whose fits hold other amounts. Measured on two cores: of a job with fits of one
    core and a later one with fits of two, the first gets 2 % of the time without turns, and at least a quarter with them.

    It serves other jobs, so a question that Ray does not answer in time is no error.
    """
    from ray.autoscaler.v2.sdk import get_cluster_status  # lazily: only shared clusters need it

    try:
        demands = get_cluster_status(ray.get_runtime_context().gcs_address).resource_demands
    except ray.exceptions.RpcError:
        return []
    wanted = [*demands.ray_task_actor_demand, *demands.placement_group_demand]
    return [one.bundle for demand in wanted for one in demand.bundles_by_count if one.count]
