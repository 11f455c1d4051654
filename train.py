"""`gdesign train` from a checkout: `python train.py designer=joint seed=0 out=runs/a`."""

from gdesign.cli import train

if __name__ == "__main__":
    train.run()
