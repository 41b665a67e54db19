"""What the teacher knew: its distributions over the gold targets, compressed, stored and read back."""
