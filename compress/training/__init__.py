"""Fine-tune a pruned model: data, objectives, the loop, and what came of it."""
