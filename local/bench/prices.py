"""What AWS charges, and what a million clicks or events come to. Pure arithmetic.

CPU time is measured on this machine and taken as Lambda's: below 1,769 MB a function gets its share
of a processor, so a second of CPU costs the same at any memory. The wait for DynamoDB is billed by
the memory set, and stands beside, since no local database can tell how long it is.
"""

from collections.abc import Mapping
from dataclasses import dataclass

PRICES_AS_OF = "2026-11-22"
REGION = "us-east-1"
USD: Mapping[str, float] = {
    "api gateway, rest, million requests": 3.50,
    "lambda, million requests": 0.20,
    "lambda, arm64, GB-second": 0.000_013_333_4,
    "dynamodb on demand, million write units": 0.625,
    "dynamodb on demand, million read units": 0.125,
    "dynamodb, GB-month": 0.25,
    "dynamodb, point-in-time recovery, GB-month": 0.20,
    "dynamodb streams, read by lambda": 0.0,
    "cloudwatch logs, GB taken in": 0.50,
    "cloudwatch, alarm-month": 0.10,
    "kms, key-month": 1.00,
    "kms, million requests": 3.00,
}
"""List prices without any free tier (aws.amazon.com/…/pricing)."""

GB_PER_CPU = 1_769 / 1_024  # the memory at which Lambda gives one whole processor
PLATFORM_LOG_BYTES = 300  # START, END and REPORT, which Lambda writes for each call
EVENTS = 10
REWARDS = 3  # of ten events

DOORS = USD["api gateway, rest, million requests"] + USD["lambda, million requests"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """What one call uses, on average."""

    write_units: float
    read_units: float
    cpu_ms: float
    log_bytes: float = 0


def usd_per_million(use: Use) -> dict[str, float]:
    """By what it is paid for; ``total`` is request, write and compute, the others stand beside."""
    parts = {
        "request": DOORS,
        "write": use.write_units * USD["dynamodb on demand, million write units"],
        "compute": use.cpu_ms / 1_000 * GB_PER_CPU * 1e6 * USD["lambda, arm64, GB-second"],
    }
    beside = {
        "read": use.read_units * USD["dynamodb on demand, million read units"],
        "logs": (use.log_bytes + PLATFORM_LOG_BYTES) / 1e3 * USD["cloudwatch logs, GB taken in"],
    }
    return {"total": sum(parts.values()), **parts, **beside}


def show(usd: Mapping[str, Mapping[str, float]]) -> str:
    """A column per kind, and the list prices below."""
    names = list(next(iter(usd.values())))
    lines = [f"{'USD a million':16}" + "".join(f"{kind:>10}" for kind in usd)]
    for name in names:
        label = f"{name} (beside)" if name in ("read", "logs") else name
        lines.append(f"{label:16}" + "".join(f"{of[name]:>10.3f}" for of in usd.values()))
    lines += ["", f"list prices of {REGION}, {PRICES_AS_OF}, without any free tier:"]
    lines += [f"{price:>16.10g}  {name}" for name, price in USD.items()]
    return "\n".join(lines)
