"""What an answer costs by the price of a plan."""

from __future__ import annotations

from harness.records import Answer, Price

MILLION = 1e6
SECONDS_AN_HOUR = 3600.0


def charge(answer: Answer, price: Price) -> float:
    """What one answer costs: by its tokens where the price is of tokens, else by the time it took."""
    if not price.of_tokens:
        return answer.seconds / SECONDS_AN_HOUR * (price.per_hour or 0.0)
    read, written = ((each or 0.0) / MILLION for each in (price.input_tokens, price.output_tokens))
    return answer.prompt_tokens * read + answer.new_tokens * written
