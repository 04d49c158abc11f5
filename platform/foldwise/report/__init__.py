"""Step 7, show: the report as data, as text and as progress."""

from foldwise.report.report import MetricReport, Report

__all__ = ["MetricReport", "Report"]
