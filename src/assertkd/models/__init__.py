"""Teacher, student and tokenizer: from a hub name, from a folder, or built small from scratch."""
