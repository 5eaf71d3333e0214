"""Find the smallest model that passes the gates of a plan, and what going further would cost."""
