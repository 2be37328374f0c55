"""Where a story is played: a world on an unsteady store, with a second program where there is one.

Ids of programs and connections are the same each time, so that a history can be played again. Each
worker has a clock of its own: a call keeps the time at which it began.
"""

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

from chalicelib.core.program import Program
from chalicelib.flows.read_connection import Connections
from chalicelib.flows.read_program import Programs
from chalicelib.flows.sign_up import signing_key_place
from chalicelib.storage import keys, records
from chalicelib.storage.keys import Scope
from chalicelib.storage.store import Key, Put, Store
from tests.builders.world import World
from tests.conformance.story import Story
from tests.conformance.unsteady import UnsteadyStore
from tests.fakes.memory_store import MemoryStore


class Stage(World):
    """``connections_told`` are where Stripe sends each event."""

    def __init__(self, folder: Path, story: Story, store: Store | None = None) -> None:
        self._clock = threading.local()
        self._base = 0.0
        self._made = 0
        self.unsteady = UnsteadyStore(store or MemoryStore())
        super().__init__(folder, self.unsteady, **story.settings)
        self.unsteady.clock = lambda: self.ms
        self.scopes = [self.scope]
        self.told = [self.connection]
        if story.second is not None:
            first = self.program
            other = self.a_program("Second", **story.second)
            self.scopes.append(Scope(other.id, "test"))
            self.told.append(self.a_connection(other))
            self.program = other
            for key in ("ann", "bob"):
                self.a_partner(key)
            self.program = first

    @property
    def now(self) -> float:
        return float(getattr(self._clock, "now", self._base))

    @now.setter
    def now(self, seconds: float) -> None:
        self._clock.now = seconds

    def at(self, seconds: float) -> "Stage":
        self.now = self._base = float(seconds)
        return self

    def reboot(self) -> None:
        """A new process: nothing is remembered but what is stored."""
        self.programs = Programs(self.store, lambda: self.ms)
        self.connections = Connections(self.store, self.sealer, lambda: self.ms)

    def a_program(self, name: str, **settings: Any) -> Program:
        self._made += 1
        settings.setdefault("reward", None)
        if settings["reward"] is None:
            settings.pop("reward")
        kept, self.store = self.store, MemoryStore()
        made = super().a_program(name, **settings)
        self.store = kept
        sealed = self.sealer.seal(
            self.signing_key, place=signing_key_place(id := f"prg_{self._made}")
        )
        program = replace(made, id=id, sealed_signing_key=sealed)
        self.store.commit([Put(records.program_item(program))])
        return program

    def a_connection(self, program: Program, **about: Any) -> records.Connection:
        return super().a_connection(program, id=f"con_{program.id}", **about)

    def clicked(self) -> list[Key]:
        """Every click that was written, as its stream tells of it."""
        return [k for k in self.everything() if k.table == "clicks" and k.sk == "click"]

    def everything(self) -> dict[Key, Any]:
        return self.unsteady.everything()

    def unhandled(self) -> list[tuple[str, str]]:
        """Events that are not done with, and what they are."""
        heads = [
            records.read_inbox(item)
            for key, item in self.everything().items()
            if key.table == "inbox" and key.sk == "head"
        ]
        return [
            (h.id, f"{h.state} {h.because}") for h in heads if h.state in ("received", "failed")
        ]

    def owed_work(self) -> list[Key]:
        return [
            key
            for key, item in self.everything().items()
            if item.due is not None and item.due[0] in (keys.DUE_WORK, keys.DUE_INBOX)
        ]
