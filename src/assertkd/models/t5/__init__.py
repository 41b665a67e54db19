"""T5-family models: T5, CodeT5, CodeT5+ up to 770M."""
