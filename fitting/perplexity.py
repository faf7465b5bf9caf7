"""A loss as a perplexity: of how many equally likely tokens a model as unsure would choose."""

from math import exp, isnan

MOST_NATS = 100
"""Of a loss whose perplexity is shown."""


def perplexity(nats: float) -> str:
    """e to the loss, to four digits."""
    return "–" if isnan(nats) or nats > MOST_NATS else f"{exp(nats):.4g}"
