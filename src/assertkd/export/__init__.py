"""A student for use elsewhere: another form, another precision, and how much of it that form keeps."""
