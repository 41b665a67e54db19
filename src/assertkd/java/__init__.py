"""Java sources as they lie on disk: read, parsed, tests found, linked to what they test. No code is executed."""
