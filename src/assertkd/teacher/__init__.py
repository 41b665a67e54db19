"""The teacher stage: a T5-family model fine-tuned on the gold assertions."""
