import tomllib
from pathlib import Path

from packaging.requirements import Requirement

from gdesign import errors
from gdesign.errors import EXTRA_OF, installing, missing_extra

ROOT = Path(__file__).parents[1]
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]


def test_every_package_of_an_extra_that_is_imported_is_known_by_its_extra():
    wanted = {extra: {Requirement(line).name.replace("-", "_") for line in lines} for extra, lines in EXTRAS.items()}
    for package, extra in EXTRA_OF.items():
        behind = {"httpx2": "openai", "aiohttp": "openai"}.get(package, package)  # what openai brings
        assert any(name.startswith(behind) for name in wanted[extra]), package
    used = {extra for extra in EXTRAS if extra not in ("sweep", "docs", "dev")}  # imported by others
    assert used == set(EXTRA_OF.values())


def test_what_to_install_fits_a_checkout_and_an_installed_package(monkeypatch):
    assert installing("serve").endswith(f"pip install -e '{ROOT}[serve]'")
    monkeypatch.setattr(errors, "__file__", "/somewhere/site-packages/gdesign/errors.py")
    assert installing("serve").endswith("pip install 'gdesign[serve]'")


def test_only_packages_of_extras_are_explained():
    assert "the package httpx2" in missing_extra(ModuleNotFoundError("?", name="httpx2"))
    assert missing_extra(ModuleNotFoundError("?", name="gdesign.nothing")) is None
    assert missing_extra(ImportError("broken", name="openai")) is None
