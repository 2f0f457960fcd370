"""Mistakes in what the console starts: commands that nobody wanted, twice, or without an end."""

from tests.faults.mistakes.product import UNIT, Mistake

VERBS = f"{UNIT}/console/actions/test_verbs.py"
RUNNER = f"{UNIT}/console/actions/test_runner.py"

OF_THE_ACTIONS = (
    Mistake(
        "a dry run with a strange value is a real run",
        "console/actions/verbs.py",
        '    if values.get(name, "") not in ("", "on"):\n',
        '    if values.get(name, "") == " ":\n',
        VERBS,
    ),
    Mistake(
        "a job's name may be an option",
        "console/actions/verbs.py",
        "    if not JOB.fullmatch(job):\n",
        "    if not job:\n",
        VERBS,
    ),
    Mistake(
        "two actions change the model at once",
        "console/actions/runner.py",
        "            running = self.exclusive() if order.is_exclusive else None\n",
        "            running = None\n",
        RUNNER,
    ),
    Mistake(
        "a refused action deletes the data of the one that runs",
        "console/actions/runner.py",
        "            running = self.exclusive() if order.is_exclusive else None\n",
        "            running = self.exclusive() if order.is_exclusive else None\n"
        "            shutil.rmtree(order.clears or self.folder / '-', ignore_errors=True)\n",
        RUNNER,
    ),
    Mistake(
        "a stop before the command has started is lost",
        "console/actions/worker.py",
        "    if interruptions:\n        command.send_signal",
        "    if len(interruptions) > 9:\n        command.send_signal",
        RUNNER,
    ),
    Mistake(
        "what is accepted in part is deleted as a whole",
        "infra/redrive.py",
        "                for number in accepted\n",
        "                for number, _ in enumerate(messages)\n",
        f"{UNIT}/infra/test_redrive.py",
    ),
)
