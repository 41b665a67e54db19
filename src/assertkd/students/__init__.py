"""The students stage: one small model a variant and seed, distilled from the teacher's stored logits."""
