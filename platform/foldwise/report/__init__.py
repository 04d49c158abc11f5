"""Step 7, show: the report as data, as text and as progress."""

from foldwise.report.metric import MetricReport
from foldwise.report.report import Report, make_report

__all__ = ["MetricReport", "Report", "make_report"]
