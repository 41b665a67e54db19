"""What a search finds: for each test record, the assertion of the training record that is most like it.

    python benchmarks/nearest_record.py results/within_projects --output nearest.txt
    snakemake --profile profiles/local --config run=within_projects 'evaluation={external: {nearest: nearest.txt}}'

A baseline without a model, after Yu et al., "Automated Assertion Generation via Information Retrieval and Its
Integration with Deep Learning" (ICSE 2022): focal method and test are a set of tokens, likeness is the share that two
sets have in common (Jaccard), and the assertion found is taken as it is. All training records are searched, with every
gold assertion that the teacher learnt from.
"""

import argparse
import sys
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

from assertkd.errors import UserError
from assertkd.metrics.lexer import java_tokens
from assertkd.records import Record, read_records


def tokens_of(record: Record) -> frozenset[str]:
    return frozenset(java_tokens(f"{record.focal_method} {record.test_method}"))


def nearest(records: Sequence[Record], training: Sequence[Record]) -> list[int]:
    """Return for each record the position of the training record that is most like it, the first of equals."""
    known = [tokens_of(record) for record in training]
    holders: dict[str, list[int]] = defaultdict(list)
    for position, tokens in enumerate(known):
        for token in tokens:
            holders[token].append(position)
    found = []
    for record in records:
        asked = tokens_of(record)
        shared = Counter(position for token in asked for position in holders.get(token, ()))
        likeness = {at: count / (len(asked) + len(known[at]) - count) for at, count in shared.items()}
        found.append(max(likeness, key=lambda at: (likeness[at], -at), default=0))
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="results/<run>, with its corpus")
    parser.add_argument("--output", type=Path, required=True, help="file to write, a line for each test record")
    options = parser.parse_args()
    try:
        records, training = (list(read_records(options.run / f"corpus/{name}.jsonl")) for name in ("test", "train"))
    except UserError as fault:
        print(f"Error: {fault.problem}\n{fault.remedy}", file=sys.stderr)
        return 1
    found = [training[position].assertion for position in nearest(records, training)]
    options.output.write_text("".join(" ".join(text.split()) + "\n" for text in found), encoding="utf-8")
    exact = sum(text.split() == record.assertion.split() for text, record in zip(found, records, strict=True))
    print(f"the gold assertion's own text: {exact} of {len(records)} test records, out of {len(training)} searched")
    return 0


if __name__ == "__main__":
    sys.exit(main())
