#!/bin/sh
# Prints a Python that Sortbox runs on; `python.sh training`: one that training runs on as well.
# Every candidate on the PATH is run, not only looked at: a version manager's shim may stand for
# nothing and hide one that works. What training runs on comes first, so that one is enough.
newest=14
[ "${1:-}" = training ] && newest=12
fits="import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, $newest))"
try() {
    if [ -n "$1" ] && "$1" -c "$fits" >/dev/null 2>&1; then
        echo "$1"
        exit 0
    fi
}
try "$PYTHON"
for name in python3.12 python3.11 python3.14 python3.13 python3 python; do
    IFS=:
    for folder in $PATH; do
        [ -x "$folder/$name" ] && try "$folder/$name"
    done
done
found=$(python3 --version 2>/dev/null || echo 'no Python at all')
echo "Sortbox needs Python 3.11 to 3.$newest; here is $found. Install one of them, or name it: PYTHON=/path/to/python3.$newest" >&2
exit 1
