"""Where the console listens."""

from pathlib import Path

import pytest

from console.web.server import PORT_FILE, PortTakenError, listen
from tests.support.worlds.consoles import mocked_console, serve


def test_the_port_of_the_last_time_is_used_again(tmp_path: Path) -> None:
    with mocked_console(tmp_path / "console") as console:
        with serve(console) as first:
            origin = first.origin
            with serve(console) as second:
                assert second.origin != origin, "two consoles at once"
            port = int(origin.rpartition(":")[2])
            with pytest.raises(PortTakenError, match=f"Port {port} of 127.0.0.1 cannot be used"):
                listen(console, port=port)
        (console.folder / PORT_FILE).write_text(str(port))
        with serve(console) as again:
            assert again.origin == origin, "what a browser has kept for this address is sent"


@pytest.mark.parametrize("text", ["", "x", "-1", "99999", "0"])
def test_a_damaged_note_of_the_port_is_none(text: str, tmp_path: Path) -> None:
    with mocked_console(tmp_path / "console") as console:
        (console.folder / PORT_FILE).write_text(text)
        with serve(console) as served:
            assert (console.folder / PORT_FILE).read_text() == served.origin.rpartition(":")[2]
