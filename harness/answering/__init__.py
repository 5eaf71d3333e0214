"""Prompts -> answers, in batches."""
