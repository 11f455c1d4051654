import pytest

from gdesign.errors import ConfigError
from gdesign.sandbox import Sandbox

LIMITS = {
    "cpu_seconds": 1,
    "memory_bytes": 192 << 20,
    "file_bytes": 1 << 20,
    "output_bytes": 50_000,
}


def made(isolation, wall_seconds):
    sandbox = Sandbox(isolation=isolation, wall_seconds=wall_seconds, **LIMITS)
    try:
        assert sandbox.isolation == isolation
    except ConfigError as error:
        pytest.skip(str(error).split(". Install")[0])
    return sandbox


@pytest.fixture(params=["bubblewrap", "landlock"])
def box(request):
    return made(request.param, 20.0)


@pytest.fixture(params=["bubblewrap", "landlock"])
def hasty(request):
    """A box with little patience, for programs that do not end."""
    return made(request.param, 0.6)
