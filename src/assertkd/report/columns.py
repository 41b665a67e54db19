"""Headings of the leaderboard's figures on the page, and what each figure means."""

METRIC_COLUMNS: dict[str, tuple[str, str]] = {
    "exact_match": (
        "Exact match",
        "Share of test examples whose prediction has the same Java tokens as the reference, values included. "
        "The small figures are a 95 % bootstrap interval over examples.",
    ),
    "exact_match_lenient": (
        "Exact match, lenient",
        "The same, but a qualifier such as Assert. or Assertions. makes no difference.",
    ),
    "f1": ("Token F1", "Harmonic mean of token precision and token recall, per example."),
    "precision": ("Token precision", "Share of the predicted tokens that the reference has too, order ignored."),
    "recall": ("Token recall", "Share of the reference's tokens that the prediction has too, order ignored."),
    "token_accuracy": ("Token accuracy", "Equal tokens at equal positions, divided by the longer of the two lengths."),
    "bleu": ("BLEU", "Mean sentence BLEU on Java tokens, up to 4-grams."),
    "codebleu": (
        "CodeBLEU",
        "Mean of four parts on Java tokens: n-grams, n-grams that favour keywords, syntax trees, and data flow where "
        "the reference has any.",
    ),
    "pans": (
        "PANS",
        "Position-aware n-gram similarity: shared n-grams of up to 4 Java tokens, worth less the further out of place.",
    ),
    "ast_validity": ("AST valid", "Share of predictions that javalang parses as exactly one statement."),
    "syntax_validity": ("Syntax valid", "The same by a grammar that knows recent Java (tree-sitter)."),
    "assertion_form": ("Assertion form", "Share of predictions that are one statement calling an assertion."),
    "semantic_similarity": ("Similarity", "Cosine of the sentence embeddings of prediction and reference."),
    "code_quality_score": (
        "Code quality",
        "0.30 CodeBLEU + 0.20 AST valid + 0.20 PANS + 0.15 token F1 + 0.10 similarity + 0.05 token accuracy.",
    ),
}
"""Per metric its heading and its meaning."""

OTHER_COLUMNS: dict[str, tuple[str, str]] = {
    "parameters": ("Parameters", "Weights of the model, shared ones counted once."),
    "output_agreement": ("Agreement", "Mean token F1 between the student's and the teacher's prediction."),
}
"""The same for the figures that are no metric of a prediction against its reference."""
