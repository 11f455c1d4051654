import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent.parent / "benchmarks" / "killed.py"


@pytest.mark.slow
def test_a_training_that_was_killed_pays_for_nothing_twice_and_ends_with_the_same_numbers():
    command = [sys.executable, SCRIPT, "--kills", "3", "--seed", "1", "--json"]
    found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert found["asked_again"] == 0
    assert found["requests"] == found["calls"] + sum(kill["in_flight"] for kill in found["kills"])
    assert found["integrity"] == "ok"
    assert found["equal"] == {"runs": True, "metrics": True, "eval": True, "tensors": True}
