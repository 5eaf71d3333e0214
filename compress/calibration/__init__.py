"""Text through the original: what is seen at the inputs of every projection."""
