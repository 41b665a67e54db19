"""How the teacher's distributions become arrays and are rebuilt: one codec a file."""
