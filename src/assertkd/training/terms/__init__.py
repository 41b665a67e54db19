"""What an optimizer step adds up: losses over target tokens, over sampled text, over the student's own outputs."""
