"""Predictions of a model, and the metrics that judge them."""
