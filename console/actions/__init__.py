"""Actions: a button runs a command of `./sortbox` as a child process."""
