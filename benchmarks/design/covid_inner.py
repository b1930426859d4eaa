"""What was looked at on COVID-19 before ALS was run: the training patients of one fold of covid-saliva, no others.

    python benchmarks/design/covid_inner.py DATA

Prints patients' AUROC with 95 % intervals for the network against logistic regression on an inner 4-fold of those
patients; then for a few of them as the target, after pretraining on the others.
"""

import sys
import tempfile
from pathlib import Path

from polydx.config import NetworkConfig, ValidationConfig
from polydx.datasets.catalogue import load_study
from polydx.recipes.pretrain import pretrain, save_pretrained
from polydx.splits import make_folds
from polydx.validation.cross_validation import cross_validate
from polydx.validation.scores import score_predictions

DERIVATIVE = {"savitzky_golay": {"window": 11, "order": 3, "derivative": 1}}
AUGMENTATION = {"raman": ["offset", "scale", {"noise": {"amount": 0.3}}, "slope", {"shift": {"amount": 2.0}}]}
LOGISTIC = {
    "kind": "classical", "model": "logistic_regression", "params": {"C": 0.01},
    "preprocessing": {"raman": [DERIVATIVE, "snv", "standardise"]},
}  # fmt: skip
NETWORK = {
    "kind": "network", "backbones": {"raman": {"name": "cnn"}}, "preprocessing": {"raman": [DERIVATIVE, "snv"]},
    "heads": {"diagnosis": {"hidden": [64], "dropout": 0.3}}, "augmentation": AUGMENTATION,
}  # fmt: skip
PRETRAIN = {
    "supervised": {"method": "supervised", "epochs": 30, "batch_size": 32, "lr": 0.003, "schedule": "onecycle"},
    "contrastive": {"method": "simclr", "epochs": 30, "batch_size": 128, "lr": 0.001},
}


def training(epochs, lr):
    return {"epochs": epochs, "batch_size": 32, "lr": lr, "schedule": "onecycle", "patience": None}


def folds(study, count, seed):
    return make_folds(study, ValidationConfig(split="stratified-group-k-fold", folds=count), seed)


def judge(study, recipes):
    """Print the AUROC of patients of each recipe on an inner 4-fold."""
    found = cross_validate(study, recipes, "stratified-group-k-fold", folds=4, jobs=2, check=False)
    scored = score_predictions(found.predictions, study.tasks, resamples=1000, seed=0)["recipes"]
    for name, figures in scored.items():
        auroc = figures["tasks"]["diagnosis"]["patient"]["auroc"]
        print(f"{name:24} AUROC {auroc['estimate']:.3f} ({auroc['low']:.3f} to {auroc['high']:.3f})", flush=True)


def main():
    study = load_study("covid-saliva", sys.argv[1])
    inner = study.take(folds(study, 5, 0)[0].train)
    print(f"{len(inner.patient_codes[1])} training patients of the first fold")
    judge(inner, {"logistic": LOGISTIC, "cnn": NETWORK | {"training": training(30, 0.003)}})
    part = folds(inner, 3, 1)[0]
    source, target = inner.take(part.train), inner.take(part.test)
    print(f"{len(target.patient_codes[1])} of them, pretraining on the other {len(source.patient_codes[1])}")
    recipes = {"logistic": LOGISTIC, "scratch": NETWORK | {"training": training(30, 0.003)}}
    with tempfile.TemporaryDirectory() as folder:
        for name, section in PRETRAIN.items():
            file = Path(folder) / f"{name}.safetensors"
            save_pretrained(file, pretrain(source, NetworkConfig.model_validate(NETWORK | {"pretrain": section}), 0))
            recipes[name] = NETWORK | {"init": {"from": str(file)}, "training": training(15, 0.001)}
        judge(target, recipes)


if __name__ == "__main__":
    main()
