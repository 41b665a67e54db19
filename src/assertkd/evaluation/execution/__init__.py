"""Assertions put into their tests, compiled and run: whether they pass, and which faults they detect."""
