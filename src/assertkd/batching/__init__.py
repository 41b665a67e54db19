"""Examples, batches and the teacher's distributions, for every stage that runs a model."""
