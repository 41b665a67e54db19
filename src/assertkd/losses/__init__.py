"""What students minimise: one file a component, their registry, their weights over training and their sum."""
