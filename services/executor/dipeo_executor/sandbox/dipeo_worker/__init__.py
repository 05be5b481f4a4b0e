"""Runs in the interpreter of user code: the fork server and the workers it forks. (decision 13)

That interpreter may be the project's own, without our packages: only the standard library here, nothing newer than
Python 3.9, and imports among these files are relative. forkserver.py is where it starts.

On a channel between executor and worker a frame is four bytes of length, big endian, then JSON. A worker gets one job a
frame and answers with one frame: {"value", "stdout", "stderr"} or {"error": {"message", "kind", "details"}}.
"""
