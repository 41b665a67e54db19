"""The teacher stage: a model fine-tuned on the gold assertions."""
