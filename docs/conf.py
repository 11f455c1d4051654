"""How the pages become a site: `make docs`. Sources are the repository's own Markdown files, where they stand."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]

project = "gdesign"
author = "The gdesign authors"
copyright = "the gdesign authors, Apache-2.0"
# Sphinx reads all of these by name
release = re.search(r'^__version__ = "(.+)"$', (ROOT / "gdesign/__init__.py").read_text(), re.MULTILINE)[1]
version = release

extensions = ["myst_parser"]
include_patterns = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/**.md", "benchmarks/**.md", "data/README.md"]
root_doc = "docs/index"
source_suffix = {".md": "markdown"}

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 4
suppress_warnings = ["misc.highlighting_failure"]  # lines of options are no whole commands

html_theme = "furo"
html_title = f"gdesign {release}"
html_copy_source = False
