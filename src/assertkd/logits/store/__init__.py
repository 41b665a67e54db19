"""Stores of encoded distributions on disk: written shard by shard, read example by example, verified."""
