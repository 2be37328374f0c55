"""Starts the children of a local run, keeps them alive, and stops them in order."""

import contextlib
import json
import signal
import time
from pathlib import Path
from typing import Any

from local.clock import kept_offset_seconds, tell_fake_stripe
from local.own_stripe import OwnStripe
from local.parts import Parts
from local.place import Place
from local.processes import Child, Recipe, end_leftovers
from local.recipes import MINISTACK_SAVES_WITHIN_SECONDS, demo_recipe, recipes

READY_WITHIN_SECONDS = 60
DEMO_WITHIN_SECONDS = 120
WATCH_SECONDS = 0.1


class CannotRun(Exception):
    """A sentence for the reader; the exit code is 1."""


class Stopped(Exception):
    """SIGINT or SIGTERM came while the run was starting."""


class Runner:
    """A child that dies is started again, but for MiniStack: what it held in memory is gone."""

    def __init__(self, place: Place, parts: Parts, own: OwnStripe | None = None) -> None:
        self._place, self._own = place, own
        self._label = f"refledger:{place.state_dir}:"
        self._asked_to_stop = False
        self._children_file = place.state_dir / "children.json"
        self._pid_file = place.state_dir / "app.pid"
        self._children = {one.name: self._child(one) for one in recipes(place, parts, own)}
        self._demo = self._child(demo_recipe(place, parts, own))

    def listen_to_signals(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            ignored = signal.getsignal(number) is signal.SIG_IGN
            if number is not signal.SIGHUP or not ignored:
                signal.signal(number, self._on_signal)

    def clear_leftovers(self) -> None:
        """A runner that was killed may have left children that still save their state."""
        if not self._children_file.exists():
            return
        pids = json.loads(self._children_file.read_text())
        killed = end_leftovers(
            pids, label=self._label, within_seconds=MINISTACK_SAVES_WITHIN_SECONDS
        )
        if "ministack" in killed:
            say("The last run's MiniStack did not end; what it had not saved is lost.")
        self._children_file.unlink()

    def run(self) -> None:
        """Start all, stay until asked to stop, stop all. Raises CannotRun, after stopping all."""
        try:
            self._start_everything()
            while not self._asked_to_stop:
                self._look_after_children()
                time.sleep(WATCH_SECONDS)
        except Stopped:
            pass
        finally:
            self._stop_everything()

    def _on_signal(self, *_: Any) -> None:
        self._asked_to_stop = True

    def _child(self, recipe: Recipe) -> Child:
        log = self._place.state_dir / "logs" / f"{recipe.name}.log"
        return Child(recipe, label=self._label, log=log)

    def _start_everything(self) -> None:
        place = self._place
        say(f"Starting on ports {place.port} to {place.port + 3}; state in {place.state_dir} …")
        (place.state_dir / "ministack" / "tmp").mkdir(parents=True, exist_ok=True)
        self._start("ministack")
        self._start("fake_stripe")
        self._await_ready("ministack")
        self._start("app")
        self._await_ready("fake_stripe", "app")
        self._start("shop")
        self._make_demo_data()
        self._await_ready("shop")
        say(f"Refledger is ready on {place.base_url}")
        say(first_steps_with_own_stripe(place) if self._own else first_steps(place))

    def _start(self, name: str) -> None:
        child = self._children[name]
        child.start()
        if name == "app":
            write_whole(self._pid_file, str(child.pid))
        self._note_children()

    def _note_children(self) -> None:
        """For the next start, in case this runner is killed."""
        everyone = {**self._children, "demo": self._demo}
        pids = {name: child.pid for name, child in everyone.items() if child.pid}
        write_whole(self._children_file, json.dumps(pids))

    def _await_ready(self, *names: str) -> None:
        deadline = time.monotonic() + READY_WITHIN_SECONDS
        for name in names:
            child = self._children[name]
            while not child.ready:
                self._stop_if_asked()
                if child.has_died() or time.monotonic() > deadline:
                    raise CannotRun(f"{name} did not start.\n{child.last_words()}")
                if child.became_ready():
                    self._greet(name)
                time.sleep(0.03)

    def _greet(self, name: str) -> None:
        """The fake Stripe learns the kept offset of the clock at each of its starts."""
        if name != "fake_stripe":
            return
        offset = kept_offset_seconds(self._place.clock_file)
        try:
            tell_fake_stripe(self._place.fake_stripe_url, offset)
        except OSError as error:
            raise CannotRun(f"the fake Stripe does not take the clock: {error}") from None

    def _make_demo_data(self) -> None:
        self._demo.start()
        self._note_children()
        deadline = time.monotonic() + DEMO_WITHIN_SECONDS
        while self._demo.exit_code is None and time.monotonic() < deadline:
            self._stop_if_asked()
            self._look_after_children()
            time.sleep(0.03)
        if self._demo.exit_code != 0:
            raise CannotRun(f"the demo data could not be made.\n{self._demo.last_words()}")
        self._demo.bury()

    def _look_after_children(self) -> None:
        for name, child in self._children.items():
            if child.has_died():
                how = child.bury()
                if name == "ministack":
                    raise CannotRun(
                        f"MiniStack ended ({how}); what it had not saved is lost. Start again.\n"
                        f"{child.last_words()}"
                    )
                say(f"{name} ended ({how}) and is started again; see logs/{name}.log.")
            elif child.is_due():
                self._start(name)
            elif child.became_ready():
                self._greet(name)

    def _stop_if_asked(self) -> None:
        if self._asked_to_stop:
            raise Stopped

    def _stop_everything(self) -> None:
        """In the reverse order, so that MiniStack saves after the last write."""
        say("Stopping; the state is being saved …")
        self._demo.stop()
        for name, child in reversed(self._children.items()):
            ended_by_itself = child.stop()
            if name == "ministack" and not ended_by_itself:
                say("MiniStack did not end in time; what it had not saved is lost.")
        self._pid_file.unlink(missing_ok=True)
        self._children_file.unlink(missing_ok=True)
        say("Stopped.")


def first_steps(place: Place) -> str:
    return f"""
  1. Follow ann's link into the demo shop:  {place.shop_url}/?via=ann
  2. Buy the course there (any e-mail, no card needed) and see what just happened.
  3. Let a month pass:
       curl -d '{{"advance_days": 30}}' {place.base_url}/_local/clock
       curl -X POST {place.base_url}/_local/run/mature_rewards

  The API key and all that a script needs: {place.demo_file}
  Ctrl-C stops everything and keeps its state."""


def first_steps_with_own_stripe(place: Place) -> str:
    return f"""
  The program Acme is connected to your Stripe account's test mode.
  1. Put the script on a page of yours, or open a test Payment Link with a token of ann's:
       <script async src="{place.base_url}/t/PROGRAM_ID.js"></script>
       https://buy.stripe.com/test_…?client_reference_id=0123456789abcdefghijkl_ann
  2. Pay there with 4242 4242 4242 4242; some seconds later:
       curl {place.base_url}/v1/transactions -H "Authorization: Bearer API_KEY"

  PROGRAM_ID and API_KEY stand in {place.demo_file}
  The demo shop sells at the fake Stripe, which this program does not listen to now.
  Ctrl-C stops everything and keeps its state; the key is kept sealed, and forgotten by a run
  without STRIPE_KEY."""


def say(text: str) -> None:
    """To the terminal, at once. A terminal that is gone must not keep us from stopping."""
    with contextlib.suppress(OSError):
        print(text, flush=True)


def write_whole(file: Path, text: str) -> None:
    """All or nothing, for those who read it meanwhile."""
    fresh = file.with_name(file.name + ".tmp")
    fresh.write_text(text)
    fresh.replace(file)
