"""What a service's health check asks, in its container: requests that only a service at work answers rightly.

usage: healthcheck.py mlflow URL HOST         an API request, by the name and port that other services use
       healthcheck.py head JOBS_URL NODE_URL  the Jobs API answers to RAY_AUTH_TOKEN, to nobody without it, and can start jobs
       healthcheck.py worker NODE_URL         this node's raylet lives, and the cluster knows it

Needs nothing but Python.
"""

import json
import os
import sys
import urllib.error
import urllib.request

_SECONDS = 8.0


def ask(url, headers=None, body=None):
    """Return the status and the text of what a server answers."""
    request = urllib.request.Request(url, data=body, headers=headers or {})
    try:
        with urllib.request.urlopen(request, timeout=_SECONDS) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as refusal:
        return refusal.code, refusal.read().decode(errors="replace")


def expect(what, wanted, got):
    """Raise if a server answered otherwise."""
    if got != wanted:
        raise ValueError(f"expected {what} to be answered with {wanted}, got {got}")


def check_mlflow(url, host):
    """Search experiments: the server's database is asked, and a Host that is not allowed is refused, unlike at /health."""
    headers = {"Host": host, "Content-Type": "application/json"}
    status, text = ask(f"{url}/api/2.0/mlflow/experiments/search", headers, b'{"max_results": 1}')
    expect(f"an API request to {host}", 200, status)
    json.loads(text)["experiments"]


def check_head(jobs_url, node_url):
    """List jobs with the token; a head that answers without one is as bad as one that does not answer."""
    expect("a request without a token", 401, ask(f"{jobs_url}/api/jobs/")[0])
    token = os.environ["RAY_AUTH_TOKEN"]
    expect("a request with the token", 200, ask(f"{jobs_url}/api/jobs/", {"Authorization": f"Bearer {token}"})[0])
    check_worker(node_url)  # its agent, which starts the jobs, comes up last


def check_worker(node_url):
    """Ask the node's agent, which asks the cluster whether this raylet is alive."""
    expect("the raylet's health", (200, "success"), ask(f"{node_url}/api/local_raylet_healthz"))


CHECKS = {"mlflow": check_mlflow, "head": check_head, "worker": check_worker}


def main(service, *arguments):
    """Run a check; return the exit code."""
    try:
        CHECKS[service](*arguments)
    except (OSError, ValueError, KeyError) as error:
        print(f"{service}: {type(error).__name__}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
