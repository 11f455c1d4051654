"""`gdesign design`: draw the best design for a question."""

import json
from argparse import Namespace

from gdesign.api import load
from gdesign.cli.export import formatted, put
from gdesign.cli.talk import complain
from gdesign.export.schema import design_to_json
from gdesign.report.text import describe_tree
from gdesign.types import Design


def run(options: Namespace) -> None:
    """Print the design, or write it to a file; of a policy its first wave, and in words what may follow."""
    model = load(options.checkpoint, trust=options.trust)
    proposal = model.design(options.question, lam=options.usd_weight, max_usd=options.max_usd)
    if options.json:
        shown = json.dumps(design_to_json(model.opening(proposal), brief=True))
    elif options.format == "text" and not isinstance(proposal.design, Design):
        shown = describe_tree(model.tree(proposal, depth=options.depth))
    else:
        programs = options.format == "langgraph" and model.wants_programs
        shown = formatted(model.opening(proposal), model.pool, options.format, wants_programs=programs)
    put(shown, options.out)
    if model.warning:
        complain(model.warning)
