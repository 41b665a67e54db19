"""Teacher logits as JSONL, as other pipelines read and write them."""
