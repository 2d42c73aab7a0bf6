"""Shuts a process in, for good: limits, no new privileges, Landlock where the kernel has it, and seccomp.

libseccomp (Debian's package libseccomp2, which apt itself needs) writes the filter; it is called by ctypes, since the
binding on PyPI does no more than that and was last released in 2021. Landlock has no library of that age, so its two
system calls are made here.
"""

from __future__ import annotations

import ctypes
import errno
import os
import resource
import signal

PR_SET_PDEATHSIG = 1
PR_SET_NO_NEW_PRIVS = 38

NOBODY = 65534
THREAD_MARGIN = 512
"""Room under RLIMIT_NPROC, which counts the tasks of a user all over the machine, other containers included."""

# No call here names a file, a socket, a process or a program.
CALLS = """
    read write readv writev close fstat lseek mremap madvise munmap brk
    rt_sigaction rt_sigprocmask rt_sigreturn sigaltstack futex futex_waitv set_robust_list get_robust_list rseq
    sched_yield sched_getaffinity nanosleep clock_nanosleep clock_gettime clock_getres gettimeofday time
    getpid getppid gettid getuid geteuid getgid getegid getrandom getrusage times sysinfo
    exit exit_group poll ppoll select pselect6 restart_syscall membarrier
"""

SCMP_ACT_KILL_PROCESS = 0x80000000
SCMP_ACT_ALLOW = 0x7FFF0000
SCMP_ACT_ERRNO = 0x00050000
SCMP_FLTATR_ACT_BADARCH = 2
SCMP_CMP_NE = 1
SCMP_CMP_EQ = 4
SCMP_CMP_MASKED_EQ = 7

CLONE_VFORK, CLONE_THREAD, CLONE_NEW_ANYTHING = 0x4000, 0x10000, 0x7E020080
PROT_EXEC = 4
CLONE3 = 435

LANDLOCK_CREATE_RULESET, LANDLOCK_RESTRICT_SELF = 444, 446
LANDLOCK_CREATE_RULESET_VERSION = 1
# Rights of the file system by ABI version (linux/landlock.h): 13 at first, then REFER, TRUNCATE and IOCTL_DEV.
LANDLOCK_FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
LANDLOCK_NET_RIGHTS = 0b11  # bind and connect over TCP, from ABI 4
LANDLOCK_SCOPES = 0b11  # abstract unix sockets and signals, from ABI 6


class NotConfined(Exception):
    """A layer that must hold can't be had; the text says which."""


class Comparison(ctypes.Structure):
    """`struct scmp_arg_cmp` of seccomp.h."""

    _fields_ = [
        ("argument", ctypes.c_uint),
        ("operator", ctypes.c_int),
        ("datum_a", ctypes.c_uint64),
        ("datum_b", ctypes.c_uint64),
    ]


class Filter:
    """A seccomp filter in the making.

    Args:
        otherwise: What happens at a call that no rule is for.
    """

    def __init__(self, otherwise: int) -> None:
        try:
            self.library = ctypes.CDLL("libseccomp.so.2", use_errno=True)
        except OSError:
            raise NotConfined("libseccomp is missing (Debian's package libseccomp2)") from None
        self.library.seccomp_init.restype = ctypes.c_void_p
        self.library.seccomp_init.argtypes = [ctypes.c_uint32]
        self.context = ctypes.c_void_p(self.library.seccomp_init(otherwise))
        if not self.context:
            raise NotConfined("libseccomp made no filter")
        # Calls by another ABI (32-bit, x32) have other numbers: end the process, not just the thread.
        self._check(
            self.library.seccomp_attr_set(self.context, SCMP_FLTATR_ACT_BADARCH, ctypes.c_uint32(SCMP_ACT_KILL_PROCESS))
        )

    def add(self, action: int, call: str | int, *comparisons: tuple[int, int, int, int]) -> None:
        """Add a rule; a call that this machine's architecture doesn't have is passed over."""
        number = self.library.seccomp_syscall_resolve_name(call.encode()) if isinstance(call, str) else call
        if number < 0:
            return
        array = (Comparison * max(1, len(comparisons)))(*(Comparison(*each) for each in comparisons))
        self._check(
            self.library.seccomp_rule_add_array(
                self.context, ctypes.c_uint32(action), number, ctypes.c_uint(len(comparisons)), array
            )
        )

    def load(self) -> None:
        """Apply it to this process for good."""
        self._check(self.library.seccomp_load(self.context))

    @staticmethod
    def _check(result: int) -> None:
        if result:
            raise NotConfined(f"seccomp can't be used here: {os.strerror(-result)}")


def jail_filter() -> Filter:
    """Return the filter of a jail: everything but `CALLS` is refused, as EPERM."""
    filter = Filter(SCMP_ACT_ERRNO | errno.EPERM)
    for name in CALLS.split():
        filter.add(SCMP_ACT_ALLOW, name)
    # No memory to run is made: neither machine code of one's own nor callbacks of ctypes.
    filter.add(SCMP_ACT_ALLOW, "mmap", (2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0))
    filter.add(SCMP_ACT_ALLOW, "mprotect", (2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0))
    threads_only = CLONE_NEW_ANYTHING | CLONE_VFORK | CLONE_THREAD
    filter.add(SCMP_ACT_ALLOW, "clone", (0, SCMP_CMP_MASKED_EQ, threads_only, CLONE_THREAD))
    # The C library tries clone3 first and goes back to clone; numbers in memory can't be filtered.
    filter.add(SCMP_ACT_ERRNO | errno.ENOSYS, CLONE3)
    filter.add(SCMP_ACT_ERRNO | errno.ENOTTY, "ioctl")
    return filter


def libc() -> ctypes.CDLL:
    """Return the C library."""
    return ctypes.CDLL(None, use_errno=True)


def become_nobody() -> None:
    """Leave root; NotConfined where that is refused."""
    try:
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
    except OSError as error:
        raise NotConfined(f"root can't become another user here: {error.strerror}") from None


def limit(memory_bytes: int, cpu_seconds: int) -> None:
    """Lower this process's limits: memory (over what it maps already), processor time, files, core dumps."""
    limits = {
        resource.RLIMIT_CPU: cpu_seconds,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_NOFILE: 16,
    }
    if mapped := mapped_bytes():
        limits[resource.RLIMIT_AS] = mapped + memory_bytes
    if hasattr(resource, "RLIMIT_MSGQUEUE"):
        limits |= {resource.RLIMIT_MEMLOCK: 0, resource.RLIMIT_MSGQUEUE: 0}
        limits[resource.RLIMIT_NPROC] = tasks_of_the_machine() + THREAD_MARGIN
    for which, value in limits.items():
        hard = resource.getrlimit(which)[1]
        if hard != resource.RLIM_INFINITY:
            value = min(value, hard)
        resource.setrlimit(which, (value, value))
    os.nice(10)


def confine(seccomp: Filter, parent: int) -> tuple[str, ...]:
    """Shut this process in, so that it dies with its parent; return the names of the layers that hold."""
    library = libc()
    library.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        raise NotConfined("the parent is gone")
    if library.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        raise NotConfined("the kernel refuses to forbid new privileges")
    layers = ["own process without the host's environment", f"uid {os.getuid()}", "limits", "no new privileges"]
    if abi := landlock():
        layers.append(f"Landlock (ABI {abi})")
    # Signals for itself only: the C library ends a broken process that way. SIGKILL is left to mean the system's.
    own, not_kill = (0, SCMP_CMP_EQ, os.getpid(), 0), (2, SCMP_CMP_NE, signal.SIGKILL, 0)
    seccomp.add(SCMP_ACT_ALLOW, "tgkill", own, not_kill)
    seccomp.load()
    return (*layers, "seccomp")


def landlock() -> int:
    """Deny every file, TCP port, abstract socket and signal; return the kernel's ABI version, 0 without Landlock."""
    library = libc()
    abi = library.syscall(LANDLOCK_CREATE_RULESET, None, ctypes.c_size_t(0), LANDLOCK_CREATE_RULESET_VERSION)
    if abi < 1:
        return 0
    rights = (ctypes.c_uint64 * 3)(
        (1 << LANDLOCK_FILE_RIGHTS.get(abi, 16)) - 1,
        LANDLOCK_NET_RIGHTS if abi >= 4 else 0,
        LANDLOCK_SCOPES if abi >= 6 else 0,
    )
    size = 24 if abi >= 6 else 16 if abi >= 4 else 8
    ruleset = library.syscall(LANDLOCK_CREATE_RULESET, rights, ctypes.c_size_t(size), 0)
    if ruleset < 0:
        raise NotConfined(f"Landlock is there and refuses: {os.strerror(ctypes.get_errno())}")
    try:
        if library.syscall(LANDLOCK_RESTRICT_SELF, ruleset, 0):
            raise NotConfined(f"Landlock is there and refuses: {os.strerror(ctypes.get_errno())}")
    finally:
        os.close(ruleset)
    return int(abi)


def mapped_bytes() -> int:
    """Return the size of this process's address space, 0 where the system doesn't tell."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[0]) * resource.getpagesize()
    except OSError:
        return 0


def tasks_of_the_machine() -> int:
    """Return the number of threads on the machine, which is at least the number that RLIMIT_NPROC counts."""
    with open("/proc/loadavg", encoding="ascii") as file:
        return int(file.read().split()[3].split("/")[1])
