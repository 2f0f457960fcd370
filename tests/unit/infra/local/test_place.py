"""A local cloud's folder is its user's alone: keys, images, answers and logs."""

import fcntl
import os
import stat
import subprocess
import threading
from pathlib import Path

from infra.local import account
from infra.local.account import AccessKey
from infra.local.place import Place, Ports, write_private

PORTS = Ports(1234, 5678)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_shell_that_sources_the_file_speaks_to_this_cloud_and_no_other(tmp_path: Path) -> None:
    place = Place(tmp_path / "a folder")
    place.folder()
    variables = account.exports(place, PORTS)
    shell = ["sh", "-c", f'{variables}\nprintf %s "$SORTBOX_LOCAL"']
    environment = {"PATH": os.environ["PATH"], "SORTBOX_LOCAL": "/another"}
    printed = subprocess.run(shell, env=environment, capture_output=True, text=True, check=True)
    assert printed.stdout == str(place.root)


def test_looking_whether_a_cloud_is_up_does_not_keep_it_from_coming_up(tmp_path: Path) -> None:
    place = Place(tmp_path)
    with place.held():
        assert place.holder() == os.getpid()
    assert place.holder() is None
    with (place.state / "supervisor.lock").open() as looking:
        fcntl.flock(looking, fcntl.LOCK_SH)
        assert place.holder() is None, "two that look do not take each other for the cloud"
        looks = threading.Timer(0.1, looking.close)
        looks.start()
        with place.held():
            assert place.holder() == os.getpid()
        looks.join()


def test_what_an_older_version_left_open_is_closed(tmp_path: Path) -> None:
    place = Place(tmp_path / "cloud")
    objects, log = place.state / "s3" / "bucket", place.logs / "aws.log"
    for folder in (objects, place.logs, place.root / "cloud-venv"):
        folder.mkdir(parents=True)
    for file in (objects / "cat.jpg", log, place.environment_file):
        file.write_text("private")
        file.chmod(0o664)
    tool = objects / "tool"
    tool.write_text("runs")
    tool.chmod(0o755)
    shared = place.root / "cloud-venv" / "python"
    shared.write_text("everybody's")
    shared.chmod(0o755)
    outside = tmp_path / "outside"
    outside.write_text("another's")
    outside.chmod(0o644)
    (place.state / "link").symlink_to(outside)
    (place.state / "gone").symlink_to(tmp_path / "nowhere")
    place.close_to_others()
    assert mode(place.root) == mode(place.logs) == mode(objects) == 0o700
    assert mode(objects / "cat.jpg") == mode(log) == mode(place.environment_file) == 0o600
    assert mode(tool) == 0o700
    assert (mode(shared), mode(outside)) == (0o755, 0o644), "links and environments are left alone"


def test_a_private_file_is_never_open_whatever_the_umask(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    before = os.umask(0)
    try:
        file.write_text("old")
        write_private(file, "new")
    finally:
        os.umask(before)
    assert (file.read_text(), mode(file)) == ("new", 0o600)
    assert list(tmp_path.iterdir()) == [file]


def test_each_cloud_makes_a_key_of_its_own_and_keeps_it(tmp_path: Path) -> None:
    one, other = Place(tmp_path / "one"), Place(tmp_path / "other")
    for place in (one, other):
        place.close_to_others()
    key = AccessKey.of(one)
    assert AccessKey.of(one) == key
    assert AccessKey.of(other) != key
    assert mode(one.keys) == 0o600
    assert len(key.access_key_id) == 20
    assert len(key.secret_access_key) == 40
    assert key.secret_access_key not in f"{key!r}"


def test_a_shell_gets_the_key_and_signs_urls_by_the_newest_version(tmp_path: Path) -> None:
    place = Place(tmp_path / "a user's cloud")
    place.close_to_others()
    told = account.exports(place, PORTS)
    key = AccessKey.of(place)
    assert f"export AWS_ACCESS_KEY_ID={key.access_key_id}\n" in told
    assert f"export AWS_SECRET_ACCESS_KEY={key.secret_access_key}\n" in told
    assert "signature_version = s3v4" in account.CONFIG
    assert "'\"'\"'" in told, "a quote in the folder's name does not end the shell's"
