import os
import subprocess
import sys

import pytest

from gdesign.encode import quick

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


def said(code, **environment):
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ | environment)
    return done.stdout.strip()


def test_what_takes_long_to_import_and_is_not_used_is_not_imported():
    assert said(ABSENT) == ""


def test_a_version_that_needs_on_import_what_is_kept_away_gets_it(tmp_path):
    for name, text in (("torch_geometric", ""), ("torch_geometric/nn", "import transformers"), ("transformers", "")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(text)
    code = f"import runpy; runpy.run_path({quick.__file__!r}); import torch_geometric.nn; print('imported')"
    assert said(code, PYTHONPATH=str(tmp_path)) == "imported"


@pytest.mark.slow
def test_it_is_there_once_it_is_asked_for():
    assert said(ASKED_FOR) == "True OptimizedModule"
