"""What is known of robots and organisations."""

from __future__ import annotations

from dingtalk.outbox.file import OutboxFile
from dingtalk.outbox.rows import RobotRow, RobotState
from dingtalk.quota import Degradation


class States(OutboxFile):
    """The tables `robot` and `organisation`."""

    def robots(self) -> dict[str, RobotRow]:
        """What is known of each robot that something is known of."""
        with self._read() as connection:
            rows = connection.execute("SELECT name, state, until, detail FROM robot").fetchall()
        return {name: RobotRow(state=RobotState(state), until=until, detail=detail) for name, state, until, detail in rows}

    def set_robot(self, name: str, row: RobotRow) -> None:
        """Remember what a robot is."""
        with self._writing() as connection:
            connection.execute("INSERT OR REPLACE INTO robot VALUES (?, ?, ?, ?)", (name, row.state.value, row.until, row.detail))

    def steps(self) -> dict[str, Degradation]:
        """The step of each organisation that has had one."""
        with self._read() as connection:
            return {name: Degradation(step) for name, step in connection.execute("SELECT name, step FROM organisation")}

    def set_step(self, organisation: str, step: Degradation) -> None:
        """Remember the step of an organisation."""
        with self._writing() as connection:
            connection.execute("INSERT OR REPLACE INTO organisation VALUES (?, ?)", (organisation, int(step)))
