"""`gdesign eval` from a checkout: `python eval.py checkpoint=runs/a split=test`."""

from gdesign.cli import eval

if __name__ == "__main__":
    eval.run()
