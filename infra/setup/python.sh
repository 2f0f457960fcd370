#!/bin/sh
# Prints the path of a Python that Sortbox supports; `python.sh training`: one that training supports.
# Every candidate on the PATH is run: a version manager's shim may exist without a Python, and hide one
# that works. Versions that training supports come first, so that one Python is enough.
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
