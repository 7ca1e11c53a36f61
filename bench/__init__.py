"""What things cost, measured; nothing here judges."""
