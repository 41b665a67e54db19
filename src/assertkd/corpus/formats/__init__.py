"""Reading records, one file per format; their registry."""
