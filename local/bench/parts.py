"""The parts of the bench: each measures, adds to the report, and returns its table."""

import contextlib
import os
import tempfile
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path

from local.bench import count, growth, handling, load, past, prices, serving, starting, tracker
from local.bench.crowd import FEW, MANY
from local.bench.meter import Tally
from local.bench.replay import Replay
from local.bench.report import Report
from local.bench.zips import Zips, make_zips


class Bench:
    """What the parts share: a folder, a program on MiniStack behind a meter, the zips, the report.
    What one part needs of another is measured when it is first asked for."""

    def __init__(self) -> None:
        self.report: Report = {}
        self._open = contextlib.ExitStack()

    def __enter__(self) -> "Bench":
        made = tempfile.TemporaryDirectory(prefix="refledger-bench-")
        self.folder = Path(self._open.enter_context(made))
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    @cached_property
    def zips(self) -> Zips:
        return make_zips(self.own("zips"))

    @cached_property
    def tallies(self) -> count.Tallies:
        with count.metered_scene(self.own("units")) as (scene, meter):
            return count.count_all(scene, meter)

    @cached_property
    def starting(self) -> starting.Starting:
        folder = self.own("starting")
        with count.metered_scene(folder) as (scene, meter), Replay(meter.upstream) as replay:
            return starting.measure_starting(self.zips, scene, replay, folder)

    @cached_property
    def handling(self) -> handling.Handled:
        folder = self.own("handling")
        with count.plain_scene(folder) as scene:
            return handling.measure_handling(self.zips.app, scene, os.environ, folder)

    def own(self, name: str) -> Path:
        """An empty folder for one part."""
        folder = self.folder / name
        folder.mkdir()
        return folder


def units(bench: Bench) -> str:
    tallies = bench.tallies
    click, reward, sale = tallies["click"], tallies["reward"], count.sale_total(tallies)
    bench.report["click"] = {
        "write_units": click.write_units,
        "calls": len(click.calls),
        "cold_calls": len(tallies["click, cold"].calls),
        "counting_write_units": tallies["its counting"].write_units,
    }
    bench.report["reward"] = {
        "write_units": reward.write_units,
        "read_units": reward.read_units,
        "trips": len(reward.calls),
        "write_units_with_body_of_5_kb": tallies["reward, Stripe's body"].write_units,
        "write_units_of_a_renewal": tallies["reward, renewal"].write_units,
    }
    bench.report["sale"] = {
        "write_units": sale.write_units,
        "read_units": sale.read_units,
        "trips": len(sale.calls),
        "events": _events_of_a_sale(tallies),
    }
    bench.report["event"] = {"write_units": _other(tallies).write_units}
    bench.report["counts_that_the_database_tells_otherwise"] = sum(
        call.told_otherwise for tally in tallies.values() for call in tally.calls
    )
    bench.report["scans"] = sum(t.operations.count("Scan") for t in tallies.values())
    return count.show(tallies)


def _other(tallies: count.Tallies) -> Tally:
    """The dearer of two events that earn nothing: one that tells nothing new, one not used."""
    names = ("event, nothing new", "event, not used")
    return max((tallies[name] for name in names), key=lambda tally: tally.write_units)


def full(bench: Bench) -> str:
    few, many = count.count_few_and_many(bench.own("full"))
    differ = [
        f"{name}: {few[name].write_units} units, {len(few[name].calls)} calls among few, "
        f"{many[name].write_units} and {len(many[name].calls)} among many"
        for name in few
        if (few[name].write_units, few[name].operations)
        != (many[name].write_units, many[name].operations)
    ]
    bench.report["counts_that_differ_when_full"] = len(differ)
    same = f"{len(few)} ways cost the same at {FEW:,} and at {MANY:,} customers"
    return "\n".join(differ) or same


def cold_start(bench: Bench) -> str:
    measured = bench.starting
    app, chalice = measured.warm["app"], measured.warm["chalice"]
    bench.report["cold_start"] = {
        "ratio": round(measured.ratio("chalice"), 3),
        "ratio_over_tls": round(measured.ratio("chalice", tls=True), 3),
        "ratio_to_bare_handler": round(measured.ratio("handler"), 3),
        "rounds": len(measured.seconds["app"]),
    }
    bench.report["memory"] = {
        "click_mb": round(app.peak_mb, 1),
        "floor_mb": round(chalice.peak_mb, 1),
    }
    bench.report["zip"] = {"mb": round(measured.zip_bytes / 1e6, 2)}
    return starting.show(measured)


def tracker_size(bench: Bench) -> str:
    bench.report["tracker"] = tracker.sizes()
    return tracker.show(bench.report["tracker"])


def cost(bench: Bench) -> str:
    tallies, clicking, handled = bench.tallies, bench.starting.warm["app"], bench.handling
    click, sale = tallies["click"], count.sale_total(tallies)
    rewards, others = prices.REWARDS / prices.EVENTS, 1 - prices.REWARDS / prices.EVENTS
    reward, other = tallies["reward, Stripe's body"], _other(tallies)

    def events(write_units: float, read_units: float) -> dict[str, float]:
        told = {"cpu_ms": handled.cpu_ms, "log_bytes": handled.log_bytes}
        use = prices.Use(write_units=write_units, read_units=read_units, **told)
        return prices.usd_per_million(use)

    usd = {
        "clicks": prices.usd_per_million(
            prices.Use(
                write_units=click.write_units,
                read_units=click.read_units,
                cpu_ms=clicking.cpu_ms,
                log_bytes=clicking.log_bytes,
            )
        ),
        "events": events(
            rewards * reward.write_units + others * other.write_units,
            rewards * reward.read_units + others * other.read_units,
        ),
        "of a sale": events(
            sale.write_units / _events_of_a_sale(tallies),
            sale.read_units / _events_of_a_sale(tallies),
        ),
    }
    bench.report.setdefault("memory", {})["webhook_mb"] = round(handled.peak_mb, 1)
    bench.report["usd_per_million_clicks"] = round(usd["clicks"]["total"], 2)
    bench.report["usd_per_million_events"] = round(usd["events"]["total"], 2)
    bench.report["usd"] = {
        **{kind: {name: round(part, 3) for name, part in of.items()} for kind, of in usd.items()},
        "prices": {"region": prices.REGION, "as_of": prices.PRICES_AS_OF, **prices.USD},
    }
    return prices.show(usd)


def _events_of_a_sale(tallies: count.Tallies) -> int:
    return sum(name.startswith("sale: ") for name in tallies)


def throughput(bench: Bench) -> str:
    folder = bench.own("throughput")
    with count.plain_scene(folder) as scene:
        served = serving.measure_serving(scene, os.environ, folder)
    floor = served["floor"]
    bench.report["throughput"] = {
        name: {
            "per_second": round(one.per_second, 1),
            "of_floor": round(one.per_second / floor.per_second, 3),
            "p50_ms": round(one.wait_ms(50), 2),
            "p99_ms": round(one.wait_ms(99), 2),
        }
        for name, one in served.items()
    }
    return serving.show(served)


def growing(bench: Bench) -> str:
    grown = growth.measure_growth(bench.own("growth"))
    bench.report["growth"] = {
        name: dict(zip(("p50", "p99"), (round(r, 2) for r in grown.ratios(name)), strict=True))
        for name in grown.few
    }
    bench.report["growth"]["most"] = max(round(grown.ratios(name)[0], 2) for name in grown.few)
    return growth.show(grown)


def loading(bench: Bench) -> str:
    folder = bench.own("load")
    with count.plain_scene(folder) as scene:
        loaded = load.measure_load(scene, os.environ, folder)
    bench.report["load"] = {
        "per_second": round(loaded.per_second, 1),
        "seconds": loaded.seconds,
        "clicks": len(loaded.promised.clicks),
        "purchases": len(loaded.promised.purchases),
        "events": len(loaded.promised.events),
        "wrong": len(loaded.wrong),
    }
    return load.show(loaded)


def long_past(bench: Bench) -> str:
    brought = past.measure_past(bench.own("past"))
    calls, written = (brought.per_object(name)[1] for name in ("calls", "written"))
    bench.report["past"] = {
        "objects": brought.last.done,
        "sales": brought.sales,
        "calls_per_object": round(calls, 2),
        "calls_ratio": round(brought.ratio("calls"), 3),
        "written_per_object": round(written, 2),
        "written_ratio": round(brought.ratio("written"), 3),
        "stripe_calls": brought.last.asked,
        "memory_mb": round(brought.last.memory_mb),
        "memory_ratio": round(brought.memory_ratio, 3),
        "unexplained": brought.unexplained,
        "again_found": brought.again_found,
        "again_written": brought.again_written,
    }
    return past.show(brought)


PARTS: Mapping[str, Callable[[Bench], str]] = {
    "units": units,
    "cold_start": cold_start,
    "tracker": tracker_size,
    "cost": cost,
    "throughput": throughput,
    "full": full,
    "growth": growing,
    "load": loading,
    "past": long_past,
}
