"""ModelSpec -> something that answers, and what it costs to keep it open."""
