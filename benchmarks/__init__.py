"""foldwise beside its peers: ``python -m benchmarks``.

Each case runs in a process of its own, with its peers interleaved: every contestant is warm (its workers are up and a small
untimed call was made), does the same work and must come to the same scores. What counts are ratios within one run.
"""
