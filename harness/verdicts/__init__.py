"""Two Runs -> Comparison -> Verdict. Pure: no model, no store."""
