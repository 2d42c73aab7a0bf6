"""The host of a jail under attack: `python -m tests.unit.jail.surroundings SURROUNDINGS FOLDER`.

Puts targets around the jail (a database, servers, a process of the same user, a key in its own environment), makes the
attacks, and prints how each ended and what was left of them as JSON.
"""

import ctypes
import errno
import json
import os
import re
import resource
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sandbox.jail import BadResult, CallFailed, CallTimedOut, Jail, Limits, RunEnded
from sandbox.jail.inside import confinement
from sandbox.settings import SandboxSettings
from tests.unit.jail.attacks import FAMILIES, Attack

SURROUNDINGS = {
    # Whether the user is root, whether the kernel has Landlock, whether all is in a container.
    "root": (True, True, False),
    "root without Landlock": (True, False, False),
    "user": (False, True, False),
    "user without Landlock": (False, False, False),
    "container": (False, True, True),
    "container without Landlock": (False, False, True),
}
USER = 1000
LANDLOCK = ("landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self")
LANDLOCK_NUMBERS = (444, 445, 446)
# What Docker's documentation names as blocked by its default profile (docs.docker.com/engine/security/seccomp).
BLOCKED_IN_CONTAINERS = """
    acct add_key bpf clock_adjtime clock_settime create_module delete_module finit_module fsconfig fsmount fsopen
    fspick get_mempolicy init_module io_uring_enter io_uring_register io_uring_setup ioperm iopl kcmp
    kexec_file_load kexec_load keyctl lookup_dcookie mbind mount mount_setattr move_mount move_pages
    name_to_handle_at nfsservctl open_by_handle_at open_tree perf_event_open personality pidfd_getfd pivot_root
    process_vm_readv process_vm_writev quotactl reboot request_key set_mempolicy setns settimeofday swapoff swapon
    sysfs umount2 unshare uselib userfaultfd ustat vhangup
"""
PR_CAPBSET_DROP = 24
# uretprobe and uprobe of x86-64: the kernel lets them past every filter, and they end whoever calls them (SIGILL).
PAST_EVERY_FILTER = {335, 336}
SECRET = "canary-" + os.urandom(8).hex()


def enter(name: str) -> None:
    """Become the user, lose the rights and get the filters of these surroundings."""
    root, landlock, container = SURROUNDINGS[name]
    library = confinement.libc()
    if container:
        for capability in range(64):
            library.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)
    if not root and os.getuid() == 0:
        os.setgroups([])
        os.setresgid(USER, USER, USER)
        os.setresuid(USER, USER, USER)
    if not landlock or container:
        outer = confinement.Filter(confinement.SCMP_ACT_ALLOW)
        if not landlock:
            for number in LANDLOCK_NUMBERS:
                outer.add(confinement.SCMP_ACT_ERRNO | errno.ENOSYS, number)
        if container:
            refuse = confinement.SCMP_ACT_ERRNO | errno.EPERM
            for call in BLOCKED_IN_CONTAINERS.split():
                outer.add(refuse, call)
            for flag in (1 << bit for bit in range(32) if confinement.CLONE_NEW_ANYTHING >> bit & 1 and bit != 7):
                outer.add(refuse, "clone", (0, confinement.SCMP_CMP_MASKED_EQ, flag, flag))
            outer.add(confinement.SCMP_ACT_ERRNO | errno.ENOSYS, confinement.CLONE3)
        if container or not root:
            library.prctl(confinement.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        outer.load()
    # Should a storm break out, it ends here.
    resource.setrlimit(resource.RLIMIT_NPROC, (2000, 2000))


@contextmanager
def targets(folder: Path) -> Iterator[dict[str, str]]:
    """Put up what attacks aim at; yield the names and numbers that they need."""
    database = folder / "vivalab.db"
    database.write_bytes(b"SQLite format 3\0" + SECRET.encode())
    path, abstract = str(folder / "server.socket"), f"vivalab-{os.getpid()}"
    tcp = socket.create_server(("127.0.0.1", 0))
    servers = [tcp, socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX)]
    servers[1].bind(path)
    servers[2].bind("\0" + abstract)
    sibling = subprocess.Popen(["sleep", "600"])
    for server in servers:
        server.listen()
        server.setblocking(False)
    names = {
        "DATABASE": str(database),
        "FOLDER": str(folder),
        "SOURCE": __file__,
        "HOST": str(os.getpid()),
        "SIBLING": str(sibling.pid),
        "PORT": str(tcp.getsockname()[1]),
        "SOCKET": path,
        "ABSTRACT": abstract,
        "SECRET": SECRET,
    }
    before = database.stat()
    try:
        yield names
        after = database.stat()
        assert database.read_bytes().endswith(SECRET.encode())
        assert [getattr(before, each) == getattr(after, each) for each in ("st_mode", "st_uid", "st_mtime_ns")]
        assert sibling.poll() is None
        for server in servers:
            try:
                server.accept()
            except BlockingIOError:
                continue
            raise AssertionError(f"{server} was reached")
    finally:
        sibling.kill()
        sibling.wait()
        for server in servers:
            server.close()
        Path(path).unlink()


def number_of(call: str) -> int:
    """Return a system call's number on this machine; one that there isn't is none of the jail's."""
    return int(ctypes.CDLL("libseccomp.so.2").seccomp_syscall_resolve_name(call.encode()))


def filled(source: str, names: dict[str, str]) -> str:
    """Return a source with the names in it."""
    return re.sub(r"@(\w+)@", lambda match: names.get(match[1]) or str(number_of(match[1])), source)


def outcome(jail: Jail, attack: Attack, names: dict[str, str]) -> str:
    """Make one attack; return how it ended."""
    expected = "EXPECTED-" + SECRET  # what a judge would hold
    try:
        with jail.open(
            filled(attack.module, names), limits=Limits(seconds=attack.seconds, memory_bytes=attack.memory_bytes)
        ) as run:
            value = run.call("attack").value
        assert expected
        return value if isinstance(value, str) else repr(value)
    except CallFailed as error:
        return f"CallFailed {error.kind}"
    except CallTimedOut:
        return "CallTimedOut"
    except RunEnded as error:
        return f"RunEnded {error.reason}"
    except BadResult:
        return "BadResult"


def every_other_call(jail: Jail) -> dict[str, str]:
    """Make every system call there is, with zeros, but those allowed; return those that weren't refused."""
    allowed = {*confinement.CALLS.split(), "mmap", "mprotect", "clone", "clone3", "ioctl", "tgkill"}
    numbers = sorted({*range(600)} - PAST_EVERY_FILTER - {number_of(name) for name in allowed})
    source = (
        f"{Attack('None', '').module}\ndef every():\n    return {{n: call(n, 0, 0, 0, 0, 0, 0) for n in {numbers}}}\n"
    )
    with jail.open(source) as run:
        return {str(number): result for number, result in run.call("every").value.items() if result != "EPERM"}


def open_files() -> int:
    """Return how many files this process has open."""
    return len(os.listdir("/proc/self/fd"))


@contextmanager
def many_files() -> Iterator[None]:
    """Have so many files open, where that is allowed, that the jail's own have high numbers."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(6000, hard), hard))
    files = [os.open(os.devnull, os.O_RDONLY) for _ in range(min(5000, hard - 100))]
    yield
    for file in files:
        os.close(file)


def descendants() -> list[str]:
    """Return the processes that this one has left behind, by name."""
    own, found = {os.getpid()}, []
    for _ in range(3):
        for entry in os.listdir("/proc"):
            if entry.isdigit() and int(entry) not in own:
                try:
                    name, rest = Path(f"/proc/{entry}/stat").read_text().rsplit(")", 1)
                except OSError:
                    continue
                if int(rest.split()[1]) in own:
                    own.add(int(entry))
                    found.append(name)
    return found


def shared_memory() -> list[str]:
    """Return what lies in places that outlive processes and belongs to the user that jails run as."""
    user = confinement.NOBODY if os.getuid() == 0 else os.getuid()
    files = [path.name for path in Path("/dev/shm").iterdir() if path.stat().st_uid == user]  # noqa: S108
    segments = Path("/proc/sysvipc/shm").read_text().splitlines()[1:]
    return sorted([*files, *(segment for segment in segments if int(segment.split()[7]) == user)])


def main(name: str, folder: str) -> None:
    """Make all attacks and print what came of them."""
    enter(name)
    assert "OPENAI_API_KEY" in os.environ
    shared = shared_memory()
    jail = Jail(SandboxSettings(_env_file=None))
    with many_files():
        status = jail.status
    files_before, threads_before = open_files(), threading.active_count()
    report: dict[str, object] = {"sentence": status.sentence, "layers": status.layers, "probes": dict(status.probes)}
    with targets(Path(folder)) as names:
        report["outcomes"] = {
            f"{family}/{label}": outcome(jail, attack, names)
            for family, attacks in FAMILIES.items()
            for label, attack in attacks.items()
        }
        report["other calls"] = every_other_call(jail)
    with jail.open("def f(): return 42") as run:
        report["still works"] = run.call("f").value
    source = "def f(n): return len(bytes(n << 20).replace(b'\\0', b'1'))"
    with jail.open(source) as run:
        report["peaks"] = [(run.call("f", mebibytes).peak_bytes or 0) >> 20 for mebibytes in (60, 10)]
    report["files left"] = open_files() - files_before
    report["threads left"] = threading.active_count() - threads_before
    jail.close()
    end = time.monotonic() + 2
    while descendants() and time.monotonic() < end:
        time.sleep(0.01)
    report["processes left"] = descendants()
    report["folder"] = sorted(os.listdir(folder))
    report["shared memory left"] = [each for each in shared_memory() if each not in shared]
    print(json.dumps(report))


if __name__ == "__main__":
    main(*sys.argv[1:])
