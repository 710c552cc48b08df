# Copyright (c) 2026, k8snet.cni contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Arms, confirms, rolls back and removes a checkpoint of this node."""

from __future__ import annotations

import time
from datetime import datetime, timezone
from typing import Any

from .._plan import Plan, Step
from ..domain import _checkpoint as domain
from . import _checkpoint_arming as arming
from . import _checkpoint_read as reading
from . import _checkpoint_store as storing
from . import _checkpoint_telling as telling
from . import _checkpoint_units as units
from . import _program, _restore
from ._checkpoint_store import CheckpointError, Store
from ._links import ReadError
from ._program import ProgramError

_LOCK_SECONDS = 5.0
#: The whole of a restore: its own bounds, and the time that systemd needs to start it.
_ROLL_BACK_SECONDS = 480.0
#: A server of k3s says that it has started when its API answers.
_START_SECONDS = 120.0

Result = dict[str, Any]


class Checkpoint:
    """One checkpoint, from the module's side."""

    def __init__(self, name: str, check_mode: bool, store: Store | None = None) -> None:
        self.name = name
        self._check = check_mode
        self._store = store or Store()
        self._store.path(name)
        self._warnings: list[str] = []

    # -- armed ----------------------------------------------------------------------------

    def arm(self, timeout: int, scope: Result, hold: Result | None) -> Result:
        """Save, install what restores, start the timer. Raises CheckpointError, ReadError."""
        arming.allowed(self._store, self.name, timeout)
        now = reading.gather(scope["ovs_socket"], scope["ovs"])
        reach = arming.leads(scope["reach"] or [])
        try:
            saved = domain.scope(now, scope["links"], scope["ovs"], scope["dns"], reach)
        except ValueError as error:
            raise CheckpointError(f"scope.links: {error}. Nothing was changed.") from None
        plan = self._arming(timeout, domain.counted(saved), hold)
        if self._check:
            return self._result(plan)
        with self._locked():
            arming.allowed(self._store, self.name, timeout)
            self._arm(timeout, saved, scope, hold)
        return self._result(plan)

    def _arming(self, timeout: int, saved: str, hold: Result | None) -> Plan:
        steps = [
            Step("Save the node's network.", f"checkpoint {self.name}", after=saved),
            Step(
                f"Start a timer that restores it after {timeout} s.",
                f"{units.name_of(self.name)}.timer",
                after=f"in {timeout} s",
            ),
            Step("Restore it after a reboot too.", units.BOOT_UNIT, after="enabled"),
        ]
        for unit in hold["units"] if hold else ():
            text = f"Keep {unit} stopped after a restore, also over a reboot."
            target = f"{units.full(unit)}.d/{units.DROP_IN}"
            steps.append(Step(text, target, after=f"unless {self._store.hold_file} is there"))
        return Plan(tuple(steps))

    def _arm(self, timeout: int, saved: Result, scope: Result, hold: Result | None) -> None:
        self._store.remove(self.name)
        if hold:
            active = [unit for unit in hold["units"] if units.active(unit)]
            hold = {**hold, "id": self.name, "active": active}
        program = self._install()
        command = [_program.python(), "-I", program]
        content = {
            "version": 1,
            "id": self.name,
            "armed_at": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "armed_monotonic": time.monotonic(),
            "timeout": timeout,
            "socket": scope["ovs_socket"],
            "program": command,
            "saved": saved,
        }
        self._store.create(self.name, content, hold)
        try:
            if hold:
                units.install_hold(hold["units"])
            units.install_boot(command, hold["units"] if hold else [])
            units.start_timer(self.name, timeout, [*command, "--restore", self.name])
            self._store.set_state(self.name, storing.ARMED)
        except (CheckpointError, OSError):
            self._take_away(hold)
            self._store.remove(self.name)
            raise

    def renew(self, timeout: int) -> Result:
        """Begin the time anew; what was saved stays. Raises CheckpointError unless it is armed."""
        arming.timely(timeout)
        self._armed_still()
        timer = f"{units.name_of(self.name)}.timer"
        stands = self.describe() or {}
        left = (stands.get("deadline") or {}).get("seconds_left")
        before = "armed" if left is None else f"in {left:.0f} s"
        if stands.get("timer") == units.GONE:
            before = units.GONE
            self._warnings.append(telling.without_timer(self.name, "It counts again from now on."))
        step = Step(f"Begin the time anew: {timeout} s.", timer, before, f"in {timeout} s")
        if not self._check:
            with self._locked():
                self._armed_still()
                content = self._store.load(self.name)
                content.update(armed_monotonic=time.monotonic(), timeout=timeout)
                self._store.rewrite(self.name, content)
                units.start_timer(self.name, timeout, [*content["program"], "--restore", self.name])
                if units.fired(self.name):
                    units.stop_timer(self.name)
                    raise CheckpointError(
                        f"Too late: the node is about to be restored to checkpoint '{self.name}'."
                    )
        return self._result(Plan((step,)))

    def _armed_still(self) -> None:
        if self._confirmable() != storing.ARMED:
            raise CheckpointError(
                f"Checkpoint '{self.name}' was confirmed: it has no time to begin anew. Arm one of "
                "another id."
            )

    def _install(self) -> str:
        data = _program.build("node._restore:main", _restore.MODULES)
        path = _program.install("restore", data, f"{self._store.root}/programs")
        self._store.forget_programs("restore", path)
        return path

    # -- confirmed ------------------------------------------------------------------------

    def confirm(self) -> Result:
        """Disarm: nothing restores any more. Raises CheckpointError when that comes too late."""
        state = self._confirmable()
        steps = [Step("Confirm the checkpoint.", f"checkpoint {self.name}", "armed", "confirmed")]
        if state == storing.ARMED and units.timer_state(self.name) == units.GONE:
            kept = "The change is kept, as you ask: was it made under that protection?"
            self._warnings.append(telling.without_timer(self.name, kept))
        else:
            timer = f"{units.name_of(self.name)}.timer"
            steps.append(Step("Stop the timer.", timer, before="armed"))
        steps.append(Step("Remove the boot unit.", units.BOOT_UNIT, before="enabled"))
        hold = self._store.hold_settings(self.name)
        for unit in hold["units"] if hold else ():
            target = f"{units.full(unit)}.d/{units.DROP_IN}"
            steps.append(Step("Remove the hold's drop-in.", target, before="installed"))
        plan = Plan(tuple(steps) if state == storing.ARMED else ())
        if plan.changed and not self._check:
            with self._locked():
                self._confirmable()
                # From here on the restore program finds nothing to do, timer or not.
                self._store.confirm(self.name)
                self._take_away(hold)
        return self._result(plan)

    def _confirmable(self) -> str:
        state = self._store.state(self.name)
        if state in (storing.ARMED, storing.CONFIRMED):
            return state
        if state in (None, storing.PREPARING):
            raise CheckpointError(
                f"There is no checkpoint '{self.name}' on this node: nothing to confirm. See "
                f"{self._store.base} for those that are."
            )
        if state == storing.RESTORING:
            raise CheckpointError(
                f"Too late: the node is being restored to checkpoint '{self.name}' right now. See "
                f"'journalctl -t k8snet' on it."
            )
        report = self._store.report(self.name) or {}
        raise CheckpointError(f"Too late: {telling.told(self.name, report)}")

    # -- rolled back ----------------------------------------------------------------------

    def roll_back(self) -> Result:
        """Restore now, by the program on the node. Raises CheckpointError, ReadError."""
        state = self._store.state(self.name)
        if state == storing.ROLLED_BACK:
            return self._result(Plan())
        if state not in (*storing.OPEN, storing.FAILED):
            word = "was confirmed" if state == storing.CONFIRMED else "is not there"
            raise CheckpointError(
                f"Checkpoint '{self.name}' {word}: there is nothing to roll back to."
            )
        content = self._store.load(self.name)
        hold = self._store.hold_settings(self.name)
        saved = content["saved"]
        todo = domain.restore_plan(saved, reading.gather(content["socket"], saved["with_ovs"]))
        steps = [Step("Roll back.", f"checkpoint {self.name}", state, storing.ROLLED_BACK)]
        for unit in hold["units"] if hold else ():
            steps.append(Step(f"Stop and hold {unit}.", units.full(unit), after="held"))
        plan = Plan((*steps, *todo.plan.steps))
        if not self._check:
            self._run(content["program"])
        return self._result(plan)

    def _run(self, command: list[str]) -> None:
        unit = units.name_of(self.name)
        waiting = units.waiting_timers(self.name)
        if waiting:
            # The timer's own service: never two at a time, and it outlives this connection.
            code, said = units.run(
                "systemctl", "start", f"{waiting[0]}.service", timeout=_ROLL_BACK_SECONDS
            )
        else:
            words = ("--collect", "--wait", f"--unit={unit}-now", *units.JOURNAL)
            code, said = units.run(
                "systemd-run", *words, *command, "--restore", self.name, timeout=_ROLL_BACK_SECONDS
            )
        state = self._store.state(self.name)
        if state != storing.ROLLED_BACK:
            report = self._store.report(self.name) or {}
            left = telling.some(report.get("left", [])) or said or f"exit code {code}"
            raise CheckpointError(
                f"The restore of checkpoint '{self.name}' did not complete ({state}): {left}. See "
                "'journalctl -t k8snet' on the node."
            )
        units.stop_timer(self.name)

    # -- absent ---------------------------------------------------------------------------

    def remove(self) -> Result:
        """Lift the hold and remove all of this checkpoint, armed or not."""
        state, held = self._store.state(self.name), self._store.held()
        self._not_restoring()
        mine = held is not None and held.get("id") == self.name
        hold = (held if mine else None) or self._store.hold_settings(self.name)
        steps = []
        if state is not None:
            steps.append(Step("Remove the checkpoint.", f"checkpoint {self.name}", before=state))
        for unit in (hold or {}).get("units", ()) if mine else ():
            steps.append(Step(f"Lift the hold of {unit}.", units.full(unit), "held", "free"))
        plan = Plan(tuple(steps))
        if plan.changed and not self._check:
            with self._locked():
                self._not_restoring()
                if self._store.armed() in (None, self.name):
                    self._take_away(None)
                self._lift(hold, mine)
                self._store.remove(self.name)
        return self._result(plan, gone=True)

    def _not_restoring(self) -> None:
        if self._store.state(self.name) == storing.RESTORING:
            raise CheckpointError(
                f"Checkpoint '{self.name}' is being restored, or its program died in the middle of "
                "that. Wait for it, or finish it with state: rolled_back."
            )

    def _lift(self, hold: Result | None, mine: bool) -> None:
        if hold is None:
            return
        if mine:
            self._store.lift()
        units.remove_hold(hold["units"])
        for unit in hold["active"] if mine else ():
            code, said = units.run("systemctl", "start", units.full(unit), timeout=_START_SECONDS)
            if code:
                raise CheckpointError(
                    f"The hold is lifted, but {unit} does not start: {said}. See 'systemctl status "
                    f"{unit}' on the node."
                )

    # -- all ------------------------------------------------------------------------------

    def _take_away(self, hold: Result | None) -> None:
        units.stop_timer(self.name)
        units.remove_boot()
        if hold:
            units.remove_hold(hold["units"])

    def _locked(self) -> _Lock:
        return _Lock(self._store, self.name)

    def _result(self, plan: Plan, gone: bool = False) -> Result:
        described = None if gone and not self._check else self.describe()
        return {
            "changed": plan.changed,
            "checkpoint": described or {**telling.NOTHING, "id": self.name},
            "plan": plan.describe(),
            "diff": plan.diff(),
            "warnings": self._warnings,
        }

    def describe(self) -> Result | None:
        """Return how the checkpoint stands, None when there is none."""
        return telling.describe(self._store, self.name)


class _Lock:
    """The store's lock, or an error that says who has it."""

    def __init__(self, store: Store, name: str) -> None:
        self._context = store.lock(_LOCK_SECONDS)
        self._name = name

    def __enter__(self) -> None:
        if not self._context.__enter__():
            self._context.__exit__(None, None, None)
            raise CheckpointError(
                f"Checkpoint '{self._name}' cannot be changed: the node is being restored right "
                "now, or another run is at it. See 'journalctl -t k8snet' on the node."
            )

    def __exit__(self, *error: Any) -> None:
        self._context.__exit__(*error)


ERRORS = (CheckpointError, ReadError, ProgramError)
