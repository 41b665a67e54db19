"""What happens around the steps of a training: tables, validation, selection, checkpoints."""
