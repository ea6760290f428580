"""What the operations of one family share: operands, samples, rules and references."""
