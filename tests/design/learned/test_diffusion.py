import pytest
import torch

from gdesign.design.learned.diffusion import Diffusion
from gdesign.errors import ConfigError
from tests import laws, worlds

DIFFUSION = laws.Method(name="diffusion", make=Diffusion, designs=laws.dags, soft=True, lr=0.002)


@pytest.mark.parametrize("law", laws.applying_to(DIFFUSION), ids=lambda law: law.__name__)
def test_diffusion_keeps_the_law(law):
    law(DIFFUSION)


@pytest.mark.parametrize(("density", "alike"), [(0.5, False), (1.0, True)])
def test_each_design_is_denoised_from_noise_of_its_own_in_training(density, alike):
    encoder = worlds.encoder(4)
    designer, generator = Diffusion(space=encoder.space, density=density), torch.Generator().manual_seed(0)
    edges = designer.distribution(encoder(worlds.tasks(1)), num_designs=2, generator=generator)
    assert torch.allclose(*edges.edge_logits, atol=1e-3) is alike


def test_a_graph_is_denoised_at_least_once():
    with pytest.raises(ConfigError, match="num_steps must be 1 or more"):
        Diffusion(space=worlds.encoder(2).space, num_steps=0)
