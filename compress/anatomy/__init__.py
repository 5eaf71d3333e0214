"""What a model is made of: families, layers as channels and kv groups, and a walk through them."""
