"""Step 8, show: an archive in words and numbers."""

from foldwise.report.metric import MetricReport
from foldwise.report.report import Report

__all__ = ["MetricReport", "Report"]
