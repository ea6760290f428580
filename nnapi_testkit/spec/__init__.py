"""Operand types, quantization rules and feature levels of the NNAPI reference."""
