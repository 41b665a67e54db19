"""Assertions put into their tests, compiled and run: what a tester means by a good assertion."""
