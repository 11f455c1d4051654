import pytest
import torch

from gdesign.design.learned.swarm import Swarm
from tests import laws, worlds

SWARM = laws.Method(
    name="swarm", make=lambda space: Swarm(space=space), designs=laws.dags, query_dependent=False, soft=True, lr=0.1
)


@pytest.mark.parametrize("law", laws.applying_to(SWARM), ids=lambda law: law.__name__)
def test_swarm_keeps_the_law(law):
    law(SWARM)


def test_every_edge_begins_with_the_initial_probability():
    encoder = worlds.encoder(4)
    swarm = Swarm(space=encoder.space, initial_probability=0.8)
    soft = swarm(encoder(worlds.tasks(1))).soft[0]
    off_diagonal = ~torch.eye(4, dtype=torch.bool)
    torch.testing.assert_close(soft[off_diagonal], torch.full((12,), 0.4))  # either way round with one half
