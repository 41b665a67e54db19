"""How a record becomes model input and target, and which target tokens are critical."""
