"""Save so that anything opens it, and open again."""
