"""One function a verb of the command line: what `polydx run` does, callable from Python."""

from polydx.explain.methods import Options as ExplainOptions
from polydx.workflows.data import fetch, init, list_datasets
from polydx.workflows.evaluating import evaluate
from polydx.workflows.explaining import explain
from polydx.workflows.models import extract, pretrain, train
from polydx.workflows.predicting import predict, predict_into
from polydx.workflows.preparing import Prepared, check, prepare, variants
from polydx.workflows.running import compare, demo, report, run
from polydx.workflows.tuning import tune

__all__ = [
    "ExplainOptions",
    "Prepared",
    "check",
    "compare",
    "demo",
    "evaluate",
    "explain",
    "extract",
    "fetch",
    "init",
    "list_datasets",
    "predict",
    "predict_into",
    "prepare",
    "pretrain",
    "report",
    "run",
    "train",
    "tune",
    "variants",
]
