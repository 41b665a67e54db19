"""Where records come from: the embedded synthetic corpus, mined Java sources, and the preparation of both."""
