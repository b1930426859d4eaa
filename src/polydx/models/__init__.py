"""Networks: a backbone and a neck for each modality, fusion, one head for each task."""
