"""The teacher stages: a model pre-trained on Java sources, and fine-tuned on the gold assertions."""
