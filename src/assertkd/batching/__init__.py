"""Examples, batches of them, and the teacher's distributions beside them, for every stage that runs a model."""
