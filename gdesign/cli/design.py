"""`gdesign design`: draw the best design for a question."""

import json
from argparse import Namespace

from gdesign.api import load
from gdesign.cli.export import formatted, put
from gdesign.cli.talk import complain
from gdesign.export.schema import design_to_json


def run(options: Namespace) -> None:
    """Print the design, or write it to a file."""
    model = load(options.checkpoint, trust=options.trust)
    proposal = model.design(options.question, lam=options.usd_weight, max_usd=options.max_usd)
    design = model.opening(proposal)
    shown = (
        json.dumps(design_to_json(design, brief=True))
        if options.json
        else formatted(design, model.pool, options.format)
    )
    put(shown, options.out)
    if model.warning:
        complain(model.warning)
