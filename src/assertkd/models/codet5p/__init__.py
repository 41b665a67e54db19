"""CodeT5+ of 2 billion parameters and more: an encoder and a decoder of CodeGen layers."""
