import subprocess
import sys

import pytest

ABSENT = """
import sys
import gdesign.api
assert "torch_geometric.nn" in sys.modules
print(*[name for name in ("transformers", "torch._dynamo", "sympy") if name in sys.modules])
"""
ASKED_FOR = """
import gdesign.api
import torch, torch_geometric
linear = torch.nn.Linear(1, 1)
print(torch_geometric.is_torch_instance(linear, torch.nn.Linear), torch._dynamo.OptimizedModule.__name__)
import transformers
"""


def said(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def test_what_takes_long_to_import_and_is_not_used_is_not_imported():
    assert said(ABSENT) == ""


@pytest.mark.slow
def test_it_is_there_once_it_is_asked_for():
    assert said(ASKED_FOR) == "True OptimizedModule"
