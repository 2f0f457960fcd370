"""The console: a page in the browser to use a stage without a terminal.

It runs on the person's machine with the person's credentials; nothing is deployed for it. What a
button does is what a command of `./sortbox` does.
"""
