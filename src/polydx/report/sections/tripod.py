"""The items of TRIPOD+AI (Collins et al. 2024, BMJ 385:e078378), in short, and where a report answers them."""

from __future__ import annotations

TRIPOD_ITEMS: tuple[tuple[str, str, str], ...] = (
    ("1", "Title: development or evaluation, population, outcome", "authors"),
    ("2", "Abstract", "authors"),
    ("3–4", "Background, intended use, known inequalities, objectives", "authors"),
    ("5", "Data: sources, dates, representativeness", "authors; what was read: section 4, Who took part"),
    ("6", "Participants: setting, eligibility, treatments", "authors; numbers: section 4, Who took part"),
    ("7", "Data preparation and quality checks", "section 3, Checks; section 5, Recipes"),
    ("8", "Outcome: definition, how and by whom assessed", "authors; classes: section 1"),
    ("9", "Predictors: choice, definition, measurement", "authors; modalities: section 4, Missing data"),
    ("10", "Sample size", "authors; patients a class: section 1; warnings where there are few"),
    ("11", "Missing data", "section 4, Missing data"),
    ("12a", "How data were used: partitioning", "section 3, Split by patient"),
    (
        "12b–c",
        "Handling of predictors, type of model, model building, tuning, internal validation",
        "section 5, Recipes and Validation",
    ),
    ("12d", "Heterogeneity between clusters (centres)", "section 4, subgroups, where centres are given"),
    ("12e", "Measures of performance, comparison of models", "sections 1, 2 and 3 (calibration)"),
    ("12f–g", "Model updating; how predictions were computed", "section 5; no updating"),
    ("13", "Class imbalance: methods and their effect on calibration", "section 5, Recipes; section 3, Calibration"),
    ("14", "Fairness: approaches and their rationale", "section 4, subgroups; rationale: authors"),
    ("15", "Output: probabilities, classes, thresholds", "section 5, What was tuned on what"),
    ("16", "Differences between training and evaluation data", "same study, other patients: section 3"),
    ("17", "Ethical approval", "authors"),
    (
        "18",
        "Open science: funding, interests, protocol, registration, data, code",
        "authors; code and configuration: section 5",
    ),
    ("19", "Patient and public involvement", "authors"),
    ("20", "Results: participants, flow, characteristics", "section 4, Who took part; characteristics: authors"),
    ("21", "Numbers of participants and events in each analysis", "sections 1 and 4"),
    ("22", "Model specification, so that others can predict", "section 5, configuration; weights in the run folder"),
    ("23", "Performance with intervals, also in subgroups; heterogeneity", "sections 1, 2 and 4"),
    ("24", "Model updating", "none"),
    ("25–26", "Interpretation and limitations", "authors; limits of the figures: sections 3 and 4"),
    ("27", "Usability: poor input, user interaction, next steps", "authors"),
)

EXTERNAL_ITEMS = {
    "7": "section 3, Checks; preparation: model card of the bundle",
    "12a": "none was used to fit: section 3, Patients of another centre",
    "12b–c": "model card of the bundle",
    "12e": "sections 1 and 3 (calibration, in the large too)",
    "12f–g": "no updating; section 5",
    "13": "model card of the bundle; section 3, Calibration",
    "15": "sections 1 and 5",
    "16": "section 3, Warnings of the model; section 2; how the centres differ: authors",
    "18": "authors; configuration: section 5",
    "22": "the bundle",
    "23": "sections 1 and 4; beside the model's own validation: section 2",
}
"""Where an external validation answers them elsewhere: it fits nothing."""


def tripod_items(external: bool) -> tuple[tuple[str, str, str], ...]:
    """Return number, item, and where the report answers it."""
    if not external:
        return TRIPOD_ITEMS
    return tuple((number, what, EXTERNAL_ITEMS.get(number, where)) for number, what, where in TRIPOD_ITEMS)
