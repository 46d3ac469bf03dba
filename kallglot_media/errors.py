"""What a person who runs the server can mend: said in one line, without a traceback."""

from __future__ import annotations


class SetupError(Exception):
    """Something outside the program keeps it from starting: a port, a folder, a model.

    Commands print it as one line and end with exit code 2.

        SetupError("sip.listen udp 127.0.0.1:5060", "port 5060 is in use",
                   "stop the other program, or write another port")

    where  the setting, file, port or folder; wrong: what is there; mend: what to do
    """

    def __init__(self, where: str, wrong: str, mend: str) -> None:
        super().__init__(f"{where}: {wrong}; {mend}")
        self.where = where
        self.wrong = wrong
        self.mend = mend
