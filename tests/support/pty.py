"""Runs a program on a terminal of its own: what we read is typed, what it shows we write.

    pty.py [--background] PROGRAM [ARGUMENT..]

The last line on stderr says whether the terminal's modes were as before when the program had ended.
Exits with the program's code (128 + n for signal n). With --background the program runs in a process
group of its own that is not the terminal's foreground.
"""
import fcntl
import os
import select
import signal
import sys
import termios

words = sys.argv[1:]
background = words[0] == "--background"
if background:
    words = words[1:]
master, slave = os.openpty()
before = termios.tcgetattr(slave)
pid = os.fork()
if pid == 0:
    os.setsid()
    fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
    if background:
        # The leader of the session stays in front and waits; the program runs behind.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        child = os.fork()
        if child != 0:
            os.close(master)
            _, status = os.waitpid(child, os.WUNTRACED)
            os._exit(99 if os.WIFSTOPPED(status) else os.waitstatus_to_exitcode(status) & 255)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.setpgid(0, 0)
    for fd in (0, 1, 2):
        os.dup2(slave, fd)
    os.closerange(3, 256)
    os.execvp(words[0], words)

status = None
inputs = [0, master]
while status is None:
    readable, _, _ = select.select(inputs, [], [], 0.02)
    if master in readable:
        os.write(1, os.read(master, 65536))
        continue
    if 0 in readable:
        typed = os.read(0, 65536)
        if typed:
            os.write(master, typed)
        else:
            inputs.remove(0)
    ended, code = os.waitpid(pid, os.WNOHANG)
    if ended:
        status = code
while select.select([master], [], [], 0)[0]:
    os.write(1, os.read(master, 65536))
same = before == termios.tcgetattr(slave)
sys.stderr.write("terminal restored\n" if same else "terminal changed\n")
code = os.waitstatus_to_exitcode(status)
sys.exit(code if code >= 0 else 128 - code)
