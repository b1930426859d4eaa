"""Validation: from predictions on unseen patients to figures with intervals and tests."""
