"""One training loop for teacher and students, with what surrounds it: examples, sampling, devices, seeds and logs."""
