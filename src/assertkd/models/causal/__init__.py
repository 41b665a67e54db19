"""Decoder-only models: Llama, Qwen2, Qwen3, StarCoder2, Gemma and whatever else transformers builds like them."""
