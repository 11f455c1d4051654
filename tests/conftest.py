import gc

import pytest
import torch

# the networks here are so small that more threads only wait for each other
torch.set_num_threads(1)


def pytest_collection_finish():
    """Keep the collector from walking through all that was imported, again and again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def same_random_numbers():
    """Start each test with the same random numbers, whatever ran before it."""
    torch.manual_seed(0)
