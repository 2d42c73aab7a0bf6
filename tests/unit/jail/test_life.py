"""How runs begin, take turns and end; and what happens where the jail can't be had."""

import os
import platform
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from sandbox.jail import CallTimedOut, Jail, JailUnavailable, Limits, RunEnded
from sandbox.jail.inside import confinement
from sandbox.jail.slots import Slots
from sandbox.settings import SandboxSettings

ROOT = Path(__file__).parents[3]
FOREVER = "import time\ndef f(): time.sleep(60)"


def settings(**values: object) -> SandboxSettings:
    return SandboxSettings(_env_file=None, **values)  # type: ignore[arg-type]


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return state not in "ZX"


def wait_until_gone(pids: list[int]) -> list[int]:
    end = time.monotonic() + 10
    while (left := [pid for pid in pids if alive(pid)]) and time.monotonic() < end:
        time.sleep(0.01)
    return left


def test_a_process_ends_with_its_run(jail: Jail) -> None:
    source = "import sys\ndef f(): return sys.modules['os'].getpid()"
    with jail.open(source) as run:
        pid = run.call("f").value
        assert alive(pid)
    assert not alive(pid)


def test_threads_that_the_code_started_end_with_its_run(jail: Jail) -> None:
    source = """
import sys, threading, time
def go():
    while True: time.sleep(0.01)
def f():
    threading.Thread(target=go).start()
    return sys.modules['os'].getpid()
"""
    with jail.open(source) as run:
        pid = run.call("f").value
    assert not alive(pid)


def test_what_one_run_changes_another_does_not_see(jail: Jail) -> None:
    with jail.open("import numpy as np\nnp.pi = 3\ndef f(): return np.pi") as run:
        assert run.call("f").value == 3
    with jail.open("import numpy as np\ndef f(): return np.pi > 3.1") as run:
        assert run.call("f").value is True


def test_a_closed_jail_ends_its_runs_and_opens_no_more() -> None:
    jail = Jail(settings())
    ended: list[str] = []

    def use() -> None:
        with pytest.raises(RunEnded) as error, jail.open(FOREVER) as run:
            run.call("f")
        ended.append(error.value.reason)

    user = threading.Thread(target=use)
    user.start()
    while not jail._runs:
        time.sleep(0.01)
    time.sleep(0.2)
    jail.close()
    user.join(5)
    assert ended == ["closed"]
    with pytest.raises(JailUnavailable), jail.open(FOREVER):
        pass


def test_a_jail_forks_again_after_what_it_forks_from_was_killed() -> None:
    jail = Jail(settings())
    try:
        assert jail.status.confined
        assert jail._zygote
        os.kill(jail._zygote.pid, signal.SIGKILL)
        time.sleep(0.1)
        with jail.open("def f(): return 1") as run:
            assert run.call("f").value == 1
    finally:
        jail.close()


def test_nothing_outlives_a_host_that_is_killed() -> None:
    program = """
import sys, threading
from sandbox.jail import Jail
from sandbox.settings import SandboxSettings
jail = Jail(SandboxSettings(_env_file=None))
source = "import sys\\ndef pid(): return sys.modules['os'].getpid()\\ndef f():\\n    while True: pass"
with jail.open(source) as run:
    print(jail._zygote.pid, run.call("pid").value, flush=True)
    run.call("f")
"""
    host = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert host.stdout
    with host.stdout:
        pids = [int(each) for each in host.stdout.readline().split()]
        assert len(pids) == 2
        assert all(alive(pid) for pid in pids)
        host.kill()
        host.wait()
        assert wait_until_gone(pids) == []


def test_forty_runs_in_eight_threads_give_each_their_own_answer(jail: Jail) -> None:
    answers: list[tuple[int, object]] = []

    def use(first: int) -> None:
        for number in range(first, first + 5):
            with jail.open(f"print({number})\ndef f(x): return x + {number}", user=str(first)) as run:
                answers.append((number, (run.call("f", 100).value, run.prints)))

    threads = [threading.Thread(target=use, args=(5 * number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [(number, (100 + number, f"{number}\n")) for number in range(40)]


def test_a_wait_for_a_slot_can_be_stopped() -> None:
    jail = Jail(settings(run_code_parallel=1))
    try:
        stop = threading.Event()
        with jail.open(FOREVER, user="one"):
            threading.Timer(0.1, stop.set).start()
            with pytest.raises(RunEnded) as ended, jail.open(FOREVER, user="two", stop=stop):
                pass
        assert ended.value.reason == "stopped"
    finally:
        jail.close()


def test_a_free_slot_goes_to_the_user_who_holds_fewest() -> None:
    slots = Slots(1)
    order: list[str] = []

    def use(user: str) -> None:
        assert slots.acquire(user, lambda: False)
        order.append(user)
        slots.release(user)

    assert slots.acquire("greedy", lambda: False)
    threads = []
    for user in ["greedy", "greedy", "greedy", "modest"]:
        threads.append(threading.Thread(target=use, args=(user,)))
        threads[-1].start()
        while sum(map(len, slots._waiting.values())) < len(threads):
            time.sleep(0.001)
    slots.release("greedy")
    for thread in threads:
        thread.join(5)
    assert order == ["modest", "greedy", "greedy", "greedy"]


def test_landlock_shuts_doors_of_its_own() -> None:
    program = """
import os, socket
from sandbox.jail.inside import confinement
def outcome(action):
    try: action()
    except OSError as error: return type(error).__name__
    return "open"
server = socket.create_server(("127.0.0.1", 0))
hidden = socket.socket(socket.AF_UNIX)
hidden.bind(f"\\0jail-{os.getpid()}")
hidden.listen()
if child := os.fork():
    os.waitpid(child, 0)
    os._exit(0)
abi = confinement.landlock()
print(abi, outcome(lambda: open("/etc/passwd")), outcome(lambda: os.listdir("/")),
      outcome(lambda: socket.create_connection(server.getsockname())),
      outcome(lambda: socket.socket(socket.AF_UNIX).connect(hidden.getsockname())),
      outcome(lambda: os.kill(os.getppid(), 0)))
"""
    abi, *outcomes = subprocess.check_output([sys.executable, "-c", program], cwd=ROOT, text=True).split()
    if int(abi) < 6:
        pytest.skip(f"this kernel has Landlock ABI {abi}; 6 shuts all of these")
    assert outcomes == ["PermissionError"] * 5


WITHOUT_SECCOMP = """
import errno
from sandbox.jail.inside import confinement
outer = confinement.Filter(confinement.SCMP_ACT_ALLOW)
outer.add(confinement.SCMP_ACT_ERRNO | errno.EPERM, "prctl", (0, confinement.SCMP_CMP_EQ, 22, 0))
outer.add(confinement.SCMP_ACT_ERRNO | errno.EPERM, "seccomp")
confinement.libc().prctl(confinement.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
outer.load()
from sandbox.jail import Jail, JailUnavailable
from sandbox.settings import SandboxSettings
jail = Jail(SandboxSettings(_env_file=None))
print(jail.status.available, jail.status.confined, jail.status.sentence)
try:
    with jail.open("print('ran')") as run: print(run.prints)
except JailUnavailable as error: print(error)
jail.close()
"""


def test_no_line_is_run_where_seccomp_is_refused() -> None:
    told = subprocess.check_output([sys.executable, "-c", WITHOUT_SECCOMP], cwd=ROOT, text=True).splitlines()
    assert told[0].startswith("False False Code can't be run here: seccomp can't be used here")
    assert told[1] == told[0].removeprefix("False False ")


def test_no_line_is_run_where_the_kernel_does_not_confirm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sandbox.jail.jail.confined", lambda pid: False)
    jail = Jail(settings())
    assert not jail.status.available
    assert "doesn't confirm" in jail.status.sentence
    with pytest.raises(JailUnavailable, match="doesn't confirm"), jail.open("print(1)"):
        pass
    jail.close()


def test_other_systems_are_told_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert Jail(settings()).status.sentence == (
        "Code can't be run here: shutting it in needs Linux. Use the container."
    )


def test_a_person_at_their_own_computer_may_run_their_own_code_unconfined() -> None:
    jail = Jail(settings(run_code_unconfined=True))
    try:
        assert (jail.status.available, jail.status.confined) == (True, False)
        assert "without confinement" in jail.status.sentence
        with (
            jail.open("def f():\n    while True: pass", limits=Limits(seconds=0.2)) as run,
            pytest.raises(CallTimedOut),
        ):
            run.call("f")
    finally:
        jail.close()


@pytest.mark.skipif(platform.machine() != "x86_64", reason="32-bit calls are x86's")
def test_a_32_bit_call_ends_the_process_even_with_machine_code_of_its_own() -> None:
    program = """
import ctypes, mmap
from sandbox.jail.inside import confinement
page = mmap.mmap(-1, 4096, prot=7)
page.write(bytes.fromhex("b814000000" "cd80" "c3"))  # getpid by int 0x80
call = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))
print(call() > 0, flush=True)
confinement.libc().prctl(confinement.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
confinement.jail_filter().load()
call()
print("still here", flush=True)
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    if not done.stdout.startswith("True"):
        pytest.skip("this kernel takes no 32-bit calls")
    assert (done.returncode, done.stdout) == (-signal.SIGSYS, "True\n")


def test_the_filter_allows_no_call_that_names_a_file_a_socket_or_a_process() -> None:
    dangerous = {
        "open",
        "openat",
        "openat2",
        "stat",
        "statx",
        "newfstatat",
        "socket",
        "connect",
        "execve",
        "fork",
        "kill",
    }
    assert not dangerous & set(confinement.CALLS.split())
