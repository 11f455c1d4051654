"""`gdesign pool`: list the agents of a pool."""

from argparse import Namespace

from gdesign.agents.pool import named
from gdesign.cli.talk import say


def run(options: Namespace) -> None:
    """Print each agent by the name that `designer.agents` takes, with the price and the place of its LLM."""
    pool = named(options.pool)
    rows = [("slot", "agent", "USD per 1M in", "out", "asked at")]
    for i, candidate in enumerate(pool.candidates):
        llm = pool.llm(candidate.llm)
        asked, written = f"{llm.usd_per_1M_input:g}", f"{llm.usd_per_1M_output:g}"
        rows.append((str(i), "/".join(candidate), asked, written, llm.base_url or "llm.base_url"))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for slot, agent, *prices, place in rows:
        told = "  ".join(f"{price:>{width}}" for price, width in zip(prices, widths[2:], strict=False))
        say(f"{slot:>{widths[0]}}  {agent:{widths[1]}}  {told}  {place}")
