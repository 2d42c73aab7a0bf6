"""The self-test: tries from inside what must not succeed. Sent as a candidate's module is, and run like one."""

SOURCE = """
import sys

os, socket = sys.modules["os"], sys.modules["_socket"]


def attempt(action):
    try:
        action()
    except PermissionError:
        return True
    except BaseException as error:
        return type(error).__name__
    return False


def probe():
    return {
        "file": attempt(lambda: os.open("/etc/passwd", os.O_RDONLY)),
        "stat": attempt(lambda: os.stat("/")),
        "socket": attempt(lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM)),
        "socketpair": attempt(lambda: socket.socketpair()),
        "fork": attempt(os.fork),
        "exec": attempt(lambda: os.execv("/bin/true", ["true"])),
        "kill": attempt(lambda: os.kill(os.getppid(), 0)),
        "memfd": attempt(lambda: os.memfd_create("probe")),
        "pipe": attempt(os.pipe),
    }
"""

NAMES = ("file", "stat", "socket", "socketpair", "fork", "exec", "kill", "memfd", "pipe")
