"""Integrity and leakage: what is wrong with a study before anything is fitted."""

from polydx.validation.checks.findings import Finding, findings_json, refuse
from polydx.validation.checks.pretraining import pretraining
from polydx.validation.checks.study import check_study

__all__ = ["Finding", "check_study", "findings_json", "pretraining", "refuse"]
