"""The command line: parse, call one workflow, print. One verb a job."""

from polydx.cli import data, studies, trained  # each puts its verbs into the program, in the order of the help
from polydx.cli.app import app, data_app, main

__all__ = ["app", "data", "data_app", "main", "studies", "trained"]
