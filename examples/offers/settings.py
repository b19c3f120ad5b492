"""What may be configured."""

import os
from collections.abc import Mapping
from dataclasses import dataclass

DEADLINE_S = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Where the upstreams are, and how long a request waits for them."""

    catalog_endpoint: str
    pricing_endpoint: str
    deadline_s: float = DEADLINE_S


def load(environ: Mapping[str, str] = os.environ) -> Settings:
    """Read the settings from the environment.

    Raises:
        ValueError: a variable is missing, or is no number where one is needed.

    """
    missing = [name for name in ("OFFERS_CATALOG_ENDPOINT", "OFFERS_PRICING_ENDPOINT") if name not in environ]
    if missing:
        raise ValueError(f"Set {' and '.join(missing)} to http://host:port")
    return Settings(
        catalog_endpoint=environ["OFFERS_CATALOG_ENDPOINT"],
        pricing_endpoint=environ["OFFERS_PRICING_ENDPOINT"],
        deadline_s=float(environ.get("OFFERS_DEADLINE_S", DEADLINE_S)),
    )
