"""How much of a teacher each codec keeps, at what size and speed."""
