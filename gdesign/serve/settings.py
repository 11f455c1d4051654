"""How much a server gives."""

from dataclasses import dataclass, fields

from gdesign.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How much a server gives.

    Attributes:
        max_concurrent: Designs and runs under way at a time; more get a 429.
        max_lag: Seconds that the event loop may be late, on average over about half a second; while it is later, the
            server has more to do than it can, and new requests get a 429 before all become slow, unless few are
            under way.
        max_body: Bytes of the largest request.
        deadline: Seconds after which a request that has no answer yet gets a 504.
        max_tokens: The most tokens of one completion; None for the endpoint's own limit.
        max_usd_per_request: What one run may spend; None for no limit. It needs `max_tokens`.
        max_usd_per_key: What each key may spend while the server runs; None for no limit. It needs the one above.
        max_turns: Agents times rounds of the largest design that clients may have run.
        max_waves: How often a policy may ask for one answer; None for no limit.
        max_agents: How many agents it may ask; None for no limit.
        log_text: Whether questions and answers are logged.

    Raises:
        ConfigError: A limit is out of range, or lacks another one that it needs.
    """

    max_concurrent: int = 64
    max_lag: float = 0.02
    max_body: int = 1 << 20
    deadline: float = 300.0
    max_tokens: int | None = None
    max_usd_per_request: float | None = None
    max_usd_per_key: float | None = None
    max_turns: int = 256
    max_waves: int | None = None
    max_agents: int | None = None
    log_text: bool = False

    def __post_init__(self) -> None:
        limits = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "log_text"}
        for name, value in limits.items():
            if value is not None and not 0 < value < float("inf"):
                raise ConfigError(f"{name} is {value}; expected more than 0")
        if self.max_usd_per_request is not None and self.max_tokens is None:
            raise ConfigError("max_usd_per_request needs to know the longest reply; set max_tokens")
        if self.max_usd_per_key is not None and self.max_usd_per_request is None:
            raise ConfigError("max_usd_per_key needs to know what one request may take; set max_usd_per_request")
