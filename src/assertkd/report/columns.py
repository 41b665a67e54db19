"""Heading, meaning and format of every figure in the report."""

from collections.abc import Iterable
from dataclasses import dataclass

from assertkd.evaluation.shuffled import SHUFFLED


@dataclass(frozen=True, slots=True)
class Column:
    """A figure that every model has.

    Attributes:
        heading: its name.
        meaning: one or two sentences.
        unit: written after the number; "%" for shares, which are written times 100.
        scale: factor from a stored value to one in `unit`.
        digits: significant digits; 0 for one decimal.
        leads: whether the leaderboard shows it from the start, or only among all figures.
    """

    heading: str
    meaning: str
    unit: str = "%"
    scale: float = 100.0
    digits: int = 0
    leads: bool = False

    def number(self, value: float) -> str:
        """Return a stored value as a number in `unit`, without it."""
        scaled = value * self.scale
        if not self.digits:
            return f"{scaled:.1f}"
        if scaled >= 10**self.digits:
            return f"{scaled:,.0f}"
        return f"{scaled:#,.{self.digits}g}".rstrip(".")


METRIC_COLUMNS: dict[str, Column] = {
    "exact_match": Column(
        "Exact match",
        "Share of test examples whose prediction has the same Java tokens as the reference, values included.",
        leads=True,
    ),
    "exact_match_lenient": Column(
        "Exact match, lenient", "The same, but a qualifier such as Assert. or Assertions. makes no difference."
    ),
    "exact_match_unspaced": Column(
        "Exact match, unspaced", "Equal text once all blanks are left out, as some published systems count."
    ),
    "f1": Column("Token F1", "Harmonic mean of token precision and token recall, per example.", leads=True),
    "precision": Column("Token precision", "Share of the predicted tokens that the reference has too, order ignored."),
    "recall": Column("Token recall", "Share of the reference's tokens that the prediction has too, order ignored."),
    "token_accuracy": Column(
        "Token accuracy", "Equal tokens at equal positions, divided by the longer of the two lengths."
    ),
    "critical_token_accuracy": Column(
        "Critical tokens",
        "Share of the reference's critical tokens (assertions, matchers, comparisons, exceptions, …) that the "
        "prediction has at the same place once both are aligned.",
    ),
    "bleu": Column("BLEU", "Mean sentence BLEU on Java tokens, up to 4-grams."),
    "codebleu": Column(
        "CodeBLEU",
        "Mean of four parts on Java tokens: n-grams, n-grams that favour keywords, syntax trees, and data flow where "
        "the reference has any.",
        leads=True,
    ),
    "pans": Column(
        "PANS",
        "Position-aware n-gram similarity: shared n-grams of up to 4 Java tokens, worth less the further out of place.",
    ),
    "ast_validity": Column(
        "AST valid", "Share of predictions that javalang parses as exactly one statement.", leads=True
    ),
    "syntax_validity": Column("Syntax valid", "The same by a grammar that knows recent Java (tree-sitter)."),
    "assertion_form": Column("Assertion form", "Share of predictions that are one statement calling an assertion."),
    "semantic_similarity": Column(
        "Similarity", "Cosine of the sentence embeddings of prediction and reference, 0 where it is below."
    ),
    "code_quality_score": Column(
        "Code quality",
        "0.30 CodeBLEU + 0.20 AST validity + 0.20 PANS + 0.15 token F1 + 0.10 similarity + 0.05 token accuracy.",
        leads=True,
    ),
}
"""Metrics of a prediction against its reference, in the order in which tables show them."""

EXECUTION_COLUMNS: dict[str, Column] = {
    "compiles": Column("Compiles", "Share of predictions that javac accepts in their test."),
    "passes": Column("Passes", "Share of predictions with which their test compiles, asserts and passes.", leads=True),
    "kills": Column(
        "Kills",
        "Share of the focal method's mutants that a prediction detects: its test passes on the original and not on the "
        "mutant.",
        leads=True,
    ),
    "gold_kills": Column("Kills, gold", "The same of the gold assertions: what can be reached."),
}
"""Outcomes of predictions that were compiled and run, where records carry their code."""

CONTROL_COLUMNS: dict[str, Column] = {
    SHUFFLED: Column(
        "Code quality, shuffled",
        "Code quality of the predictions against the references of other tests: what a model gets without reading its "
        "test, since most assertions look alike.",
    ),
}
"""What a figure has to be held against."""

TEACHER_COLUMNS: dict[str, Column] = {
    "output_agreement": Column(
        "Agreement", "Mean token F1 between the student's and the teacher's prediction.", leads=True
    ),
    "exact_agreement": Column(
        "Exact agreement", "Share of test examples for which student and teacher write the same Java tokens."
    ),
    "performance_ratio": Column("Performance ratio", "The student's code quality over the teacher's, at most 100 %."),
    "knowledge_retention_score": Column("Retention", "0.6 agreement + 0.4 performance ratio."),
    "kl_divergence": Column(
        "KL from teacher",
        "Divergence of the student's from the teacher's distribution, mean over target tokens, at the evaluation's "
        "temperature; less is nearer. Of a cache without the whole vocabulary, a lower bound.",
        unit="nats",
        scale=1.0,
        digits=3,
    ),
}
"""A student against its teacher."""

COST_COLUMNS: dict[str, Column] = {
    "parameters": Column(
        "Parameters", "Weights of the model, shared ones counted once.", unit="M", scale=1e-6, digits=3, leads=True
    ),
    "disk_bytes": Column("On disk", "Bytes of the model's folder.", unit="MB", scale=1e-6, digits=3),
    "peak_memory_mb": Column(
        "Peak memory", "Peak memory of the process that predicts, libraries included.", unit="MB", scale=1.0, digits=3
    ),
    "model_memory_mb": Column(
        "Memory",
        "The part of that peak that came after the libraries were loaded: weights and what decoding takes.",
        unit="MB",
        scale=1.0,
        digits=3,
        leads=True,
    ),
    "latency_ms": Column(
        "Latency", "Time for one assertion, one at a time: the median.", unit="ms", scale=1.0, digits=3, leads=True
    ),
    "latency_p95_ms": Column("Latency, p95", "The same, 95th percentile.", unit="ms", scale=1.0, digits=3),
    "examples_per_second": Column(
        "Throughput", "Assertions written a second, 32 at a time.", unit="/s", scale=1.0, digits=3
    ),
}
"""What a model costs."""

BUDGET_COLUMNS: dict[str, Column] = {
    "optimizer_steps": Column(
        "Optimizer steps",
        "Updates of the weights in training. Models of unequal steps were not trained alike, so none of them is called "
        "better or worse.",
        unit="",
        scale=1.0,
        digits=1,
    ),
    "examples_seen": Column(
        "Examples seen", "Training examples of all these steps; one counts every time.", unit="", scale=1.0, digits=1
    ),
    "target_tokens": Column(
        "Target tokens",
        "Tokens that the model learned to write in all these steps: of the targets or, in steps on its own outputs, of "
        "these.",
        unit="",
        scale=1.0,
        digits=1,
    ),
}
"""What a model saw in training, from `training_report.json`."""


def column_of(name: str) -> Column:
    """Return a figure's column; one that is not registered has its key's words as its heading and counts as a share."""
    columns = METRIC_COLUMNS | EXECUTION_COLUMNS | CONTROL_COLUMNS | TEACHER_COLUMNS | COST_COLUMNS | BUDGET_COLUMNS
    return columns.get(name) or Column(name.replace("_", " ").capitalize(), "")


def in_order(names: Iterable[str]) -> list[str]:
    """Return each name once, in the order of tables; those without a registered column follow the metrics."""
    distinct, first = dict.fromkeys(names), METRIC_COLUMNS | EXECUTION_COLUMNS
    last = CONTROL_COLUMNS | TEACHER_COLUMNS | COST_COLUMNS | BUDGET_COLUMNS
    others = [name for name in distinct if name not in first | last]
    return [name for name in (*first, *others, *last) if name in distinct]
