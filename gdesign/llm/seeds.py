"""The sample index of a request as a seed of 31 bits, which is what endpoints take; and back."""

from hashlib import blake2b

_SEED_BITS = 20
_COPY_BITS = 11


def seed_of(sample: int) -> int:
    """Return the seed that asks an endpoint for this one of several independent answers.

    Many endpoints refuse seeds beyond 31 bits. Samples whose run seed stays below 2**20 and whose copy
    stays below 2**11 (see `gdesign.types.sample_index`) get seeds of their own, which `sample_of` reads;
    all others are hashed.
    """
    copy, seed = divmod(sample, 1 << 31)
    if seed < 1 << _SEED_BITS and copy < 1 << _COPY_BITS:
        return copy << _SEED_BITS | seed
    return int.from_bytes(blake2b(str(sample).encode(), digest_size=4).digest(), "big") >> 1


def sample_of(seed: int) -> int:
    """Return the sample index that `seed_of` makes this seed of, where it does not hash."""
    copy, run_seed = divmod(seed, 1 << _SEED_BITS)
    return (copy << 31) + run_seed
