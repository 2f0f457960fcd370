#!/bin/sh
# Prints a Python that Sortbox runs on. Candidates are run, not looked at: a version manager's shim
# may stand for nothing.
fits='import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))'
for candidate in "$PYTHON" python3.12 python3.11 python3 python /usr/bin/python3; do
    if [ -n "$candidate" ] && "$candidate" -c "$fits" >/dev/null 2>&1; then
        command -v "$candidate"
        exit 0
    fi
done
found=$(python3 --version 2>/dev/null || echo 'no Python')
echo "Sortbox needs Python 3.11 or 3.12; here is $found. Install one of them, or name it: make PYTHON=/path/to/python3.12" >&2
exit 1
