"""The page of a search: a curve of divergence against sparsity, every trial, and what became of every variant."""
