"""Attacks on the jail, and how each one must fail.

Each is a module whose `attack()` returns how it failed: an errno's name, an error's class, or 'ESCAPED ...'. A run that
ends instead shows as the class and reason of what the host saw. The expectation names the reason, since an attack that
is merely broken doesn't escape either. In the source `@NAME@` stands for what is around the jail (`surroundings.py`).
"""

from dataclasses import dataclass

PRELUDE = """
import sys, threading, time
errno, os, ctypes, socket, signal, mmap, resource = (
    sys.modules[name] for name in ("errno", "os", "ctypes", "_socket", "signal", "mmap", "resource"))
libc = ctypes.CDLL(None, use_errno=True)


def failure(action):
    try:
        return f"ESCAPED {action()!r:.100}"
    except OSError as error:
        return errno.errorcode.get(error.errno, str(error))
    except BaseException as error:
        return type(error).__name__


def call(number, *arguments):
    ctypes.set_errno(0)
    result = libc.syscall(number, *arguments)
    return f"ESCAPED {result}" if result >= 0 else errno.errorcode[ctypes.get_errno()]


def channel():
    frame = sys._getframe()
    while "worker" not in getattr(frame.f_locals.get("self"), "__dict__", {}):
        frame = frame.f_back
    return frame.f_locals["self"]


def raw(head, body=b"", length=None, head_length=None):
    json, struct = sys.modules["json"], sys.modules["struct"]
    head = head if type(head) is bytes else json.dumps(head).encode()
    data = struct.pack("<IQ", head_length or len(head), len(body) if length is None else length) + head + body
    while data:
        data = data[os.write(4, data):]


def reply(value, body=b"", length=None, kind="value"):
    raw({"id": channel().token, "kind": kind, "value": value}, body, length)
    os._exit(0)

"""


@dataclass(frozen=True)
class Attack:
    """One attack.

    Attributes:
        source: Python after `PRELUDE`; an expression stands for an attack() that returns it.
        fails: The outcome it must have.
        seconds: Wall time that it gets.
        memory_bytes: Memory that it gets.
    """

    source: str
    fails: str
    seconds: float = 20.0
    memory_bytes: int = 200 << 20

    @property
    def module(self) -> str:
        """The whole module."""
        if "def attack" in self.source:
            return PRELUDE + self.source
        return f"{PRELUDE}def attack():\n    return {self.source}\n"


def tries(**expressions: str) -> dict[str, Attack]:
    """Return attacks that a refused system call must stop: EPERM."""
    return {name: Attack(f"failure(lambda: {expression})", "EPERM") for name, expression in expressions.items()}


FILES = tries(
    read_passwd="open('/etc/passwd').read()",
    read_database="open('@DATABASE@', 'rb').read()",
    read_source="open('@SOURCE@').read()",
    list_root="os.listdir('/')",
    scan_tmp="list(os.scandir('/tmp'))",
    look_up_database="os.stat('@DATABASE@').st_size",
    write_beside_database="open('@FOLDER@/new', 'w').write('x')",
    write_shared_memory="open('/dev/shm/jail', 'w').write('x')",
    make_folder="os.mkdir('@FOLDER@/new')",
    change_mode="os.chmod('@DATABASE@', 0o666)",
    change_owner="os.chown('@DATABASE@', 0, 0)",
    change_times="os.utime('@DATABASE@', (0, 0))",
    truncate="os.truncate('@DATABASE@', 0)",
    delete="os.unlink('@DATABASE@')",
    rename="os.rename('@DATABASE@', '@FOLDER@/gone')",
    plant_symlink="os.symlink('/etc/passwd', '@FOLDER@/link')",
    plant_hardlink="os.link('@DATABASE@', '@FOLDER@/link')",
    set_attribute="os.setxattr('@DATABASE@', 'user.x', b'x')",
    make_fifo="os.mkfifo('@FOLDER@/fifo')",
    change_folder="os.chdir('/')",
    change_root="os.chroot('/tmp')",
    host_environment="open('/proc/@HOST@/environ', 'rb').read()",
    host_memory="open('/proc/@HOST@/mem', 'rb').read(1)",
    host_files="os.listdir('/proc/@HOST@/fd')",
    parent_environment="open(f'/proc/{os.getppid()}/environ', 'rb').read()",
    parent_memory="open(f'/proc/{os.getppid()}/maps').read()",
    own_maps="open('/proc/self/maps').read()",
    own_memory="open('/proc/self/mem', 'rb').read(1)",
    terminal="open('/dev/tty')",
    memory_file="os.memfd_create('x')",
    import_by_path="sys.modules['_frozen_importlib_external'].FileLoader('x', '@SOURCE@').get_data('@SOURCE@')",
    truncate_output="os.ftruncate(1, 1 << 40)",
)
FILES |= {
    "c_fopen": Attack('f\'{libc.fopen(b"/etc/passwd", b"r")} {errno.errorcode[ctypes.get_errno()]}\'', "0 EPERM"),
    "c_open": Attack("call(@openat@, -100, b'@DATABASE@', 0)", "EPERM"),
    "openat2": Attack("call(@openat2@, -100, b'@DATABASE@', (ctypes.c_uint64 * 3)(0, 0, 0), 24)", "EPERM"),
    "open_by_handle": Attack("call(@open_by_handle_at@, -100, ctypes.create_string_buffer(128), 0)", "EPERM"),
    "open_tree": Attack("call(@open_tree@, -100, b'/', 1)", "EPERM"),
    "io_uring": Attack("call(@io_uring_setup@, 4, ctypes.create_string_buffer(256))", "EPERM"),
    "fill_the_disk": Attack(
        "failure(lambda: [open(f'@FOLDER@/{i}', 'wb').write(bytes(8 << 20)) for i in range(40)])", "EPERM"
    ),
    "inherited_files": Attack(
        """
def attack():
    struct, found = sys.modules["struct"], []
    for number in range(10_000):
        entry = ctypes.create_string_buffer(struct.pack("<ihh", number, 0, 0), 8)
        libc.poll(entry, 1, 0)
        if not struct.unpack("<ihh", entry.raw)[2] & 0x20:  # POLLNVAL: not open
            found.append(number)
    return str(found)
""",
        r"\[0, 1, 2, 3, 4\]",  # /dev/null, output twice, the two ends of the channel
    ),
}

NETWORK = tries(
    tcp="socket.socket(socket.AF_INET, socket.SOCK_STREAM).connect(('127.0.0.1', @PORT@))",
    tcp6="socket.socket(socket.AF_INET6, socket.SOCK_STREAM).connect(('::1', @PORT@))",
    udp="socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', @PORT@))",
    listen="socket.socket().bind(('127.0.0.1', 0))",
    raw_packets="socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)",
    unix_by_path="socket.socket(socket.AF_UNIX).connect('@SOCKET@')",
    unix_abstract="socket.socket(socket.AF_UNIX).connect('\\0@ABSTRACT@')",
    netlink="socket.socket(16, 3, 0)",
    vsock="socket.socket(40, 1, 0)",
    socket_pair="socket.socketpair()",
    pipe="os.pipe()",
)
NETWORK |= {
    "name_lookup": Attack(
        "failure(lambda: socket.getaddrinfo('localhost', 80))", "gaierror|-2|-3|.*resolution.*|.*known.*"
    ),
    "send_a_file_descriptor": Attack("call(@sendmsg@, 4, ctypes.create_string_buffer(64), 0)", "EPERM"),
    "accept_on_the_channel": Attack("call(@accept4@, 3, 0, 0, 0)", "EPERM"),
}

PROCESSES = tries(
    fork="os.fork()",
    forkpty="os.forkpty()",
    run_a_program="os.execv('/bin/sh', ['sh', '-c', 'true'])",
    run_setuid="os.execv('/bin/su', ['su'])",
    spawn="os.posix_spawn('/bin/true', ['true'], {})",
    kill_sibling="os.kill(@SIBLING@, signal.SIGUSR1)",
    kill_parent="os.kill(os.getppid(), 0)",
    kill_host="os.kill(@HOST@, signal.SIGTERM)",
    kill_all="os.kill(-1, 0)",
    kill_own_group="os.killpg(0, 0)",
    limits_of_sibling="resource.prlimit(@SIBLING@, resource.RLIMIT_NOFILE)",
    leave_the_group="os.setsid()",
    become_root="os.setuid(0)",
    other_namespace="os.setns(0, 0) if hasattr(os, 'setns') else os.setuid(0)",
    priority="os.setpriority(os.PRIO_PROCESS, 0, -5)",
    scheduler="os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))",
    other_core="os.sched_setaffinity(@SIBLING@, {0})",
    wait_for_anything="os.waitpid(-1, 0)",
    open_process="os.pidfd_open(@SIBLING@)",
)
PROCESSES |= {
    name: Attack(expression, fails)
    for name, (expression, fails) in {
        "fork_by_number": ("call(@fork@)", "EPERM"),
        "vfork_by_number": ("call(@vfork@)", "EPERM"),
        "clone_a_process": ("call(@clone@, 17, 0, 0, 0, 0)", "EPERM"),
        "clone_a_user_namespace": ("call(@clone@, 0x10000000 | 17, 0, 0, 0, 0)", "EPERM"),
        "clone3": ("call(@clone3@, ctypes.create_string_buffer(88), 88)", "ENOSYS"),
        "user_namespace": ("call(@unshare@, 0x10000000)", "EPERM"),
        "attach_parent": ("call(@ptrace@, 16, os.getppid(), 0, 0)", "EPERM"),
        "seize_host": ("call(@ptrace@, 0x4206, @HOST@, 0, 0)", "EPERM"),
        "be_traced": ("call(@ptrace@, 0, 0, 0, 0)", "EPERM"),
        "read_sibling": ("call(@process_vm_readv@, @SIBLING@, ctypes.create_string_buffer(16), 1, 0, 0, 0)", "EPERM"),
        "write_sibling": ("call(@process_vm_writev@, @SIBLING@, ctypes.create_string_buffer(16), 1, 0, 0, 0)", "EPERM"),
        "steal_a_file": ("call(@pidfd_getfd@, 3, 0, 0)", "EPERM"),
        "signal_thread_of_host": ("call(@tkill@, @HOST@, 10)", "EPERM"),
        "signal_thread_of_sibling": ("call(@tgkill@, @SIBLING@, @SIBLING@, 10)", "EPERM"),
        "queue_a_signal": ("call(@rt_sigqueueinfo@, @SIBLING@, 10, ctypes.create_string_buffer(128))", "EPERM"),
        "signal_by_pidfd": ("call(@pidfd_send_signal@, 3, 10, 0, 0)", "EPERM"),
        "kill_self": ("call(@tgkill@, os.getpid(), os.getpid(), 9)", "EPERM"),
        "listen_to_own_calls": ("call(@seccomp@, 1, 8, ctypes.create_string_buffer(16))", "EPERM"),
        "another_filter": ("call(@prctl@, 22, 2, ctypes.create_string_buffer(16), 0, 0)", "EPERM"),
        "outlive_the_parent": ("call(@prctl@, 1, 0, 0, 0, 0)", "EPERM"),
        "be_dumped": ("call(@prctl@, 4, 1, 0, 0, 0)", "EPERM"),
        "shared_memory": ("call(@shmget@, 0, 1 << 20, 0o1600)", "EPERM"),
        "message_queue": ("call(@msgget@, 0, 0o1600)", "EPERM"),
        "keyring": ("call(@keyctl@, 0, -3, 0)", "EPERM"),
        "bpf": ("call(@bpf@, 0, ctypes.create_string_buffer(128), 128)", "EPERM"),
        "performance_counters": ("call(@perf_event_open@, ctypes.create_string_buffer(128), 0, -1, -1, 0)", "EPERM"),
        "page_faults": ("call(@userfaultfd@, 1)", "EPERM"),
        "mount": ("call(@mount@, b'x', b'/tmp', b'tmpfs', 0, 0)", "EPERM"),
    }.items()
}
PROCESSES |= {
    "raise_own_limits": Attack(
        "failure(lambda: resource.setrlimit(resource.RLIMIT_AS, (-1, -1)))",
        "ValueError",  # Python's word for EPERM here
    ),
    "machine_code": Attack("failure(lambda: mmap.mmap(-1, 4096, prot=7))", "EPERM"),
    "make_memory_executable": Attack(
        """
def attack():
    page = mmap.mmap(-1, 4096)
    address = ctypes.addressof(ctypes.c_char.from_buffer(page))
    return call(@mprotect@, ctypes.c_void_p(address), 4096, 7)
""",
        "EPERM",
    ),
    "callback_of_ctypes": Attack("failure(lambda: ctypes.CFUNCTYPE(None)(print))", "MemoryError|EPERM|SystemError"),
}

STORMS = {
    "fork_storm": Attack("str({failure(os.fork) for _ in range(1000)})", "{'EPERM'}"),
    "threads_that_wait": Attack(
        """
def attack():
    threading.stack_size(65536)
    while True:
        threading.Thread(target=time.sleep, args=(9,), daemon=True).start()
""",
        "RunEnded threads|CallFailed RuntimeError",  # whichever is first: the host's count, or RLIMIT_NPROC
    ),
    "memory": Attack("failure(lambda: [bytearray(64 << 20) for _ in range(100)])", "MemoryError"),
    "memory_of_numpy": Attack("failure(lambda: __import__('numpy').ones(10**12))", "MemoryError|_ArrayMemoryError"),
    "memory_of_small_objects": Attack(
        """
def attack():
    def grow():
        items = []
        while True:
            items.append([None] * 10000)
    return failure(grow)
""",
        "MemoryError",
    ),
    "recursion": Attack("failure(lambda: (f := lambda: f())())", "RecursionError"),
    "recursion_in_c": Attack(
        """
def attack():
    sys.setrecursionlimit(10**9)
    value = []
    for _ in range(10**5):
        value = [value]
    return failure(lambda: repr(value))
""",
        "RecursionError|RunEnded signal|MemoryError",
    ),
    "output": Attack("[print('x' * 65536) for _ in iter(int, 1)]", "RunEnded output flood"),
    "error_output": Attack("[print('x' * 65536, file=sys.stderr) for _ in iter(int, 1)]", "RunEnded output flood"),
    "raw_output": Attack("[os.write(1, bytes(65536)) for _ in iter(int, 1)]", "RunEnded output flood"),
    "large_result": Attack("bytes(65 << 20)", "BadResult"),
    "many_results": Attack("[0] * 10**6", "BadResult"),
}

ENDLESS = {
    name: Attack(source, "CallTimedOut", seconds=0.2)
    for name, source in {
        "loop": "[0 for _ in iter(int, 1)]",
        "sleep": "time.sleep(3600)",
        "loop_in_c": "sum(iter(int, 1))",
        "big_integer": "3 ** 10 ** 8",
        "regular_expression": "sys.modules['re'].match('(a+)+$', 'a' * 40 + 'b')",
        "wait_for_a_lock": "(lock := threading.Lock()).acquire() and lock.acquire()",
        "read_the_channel": "os.read(0, 1) or [os.read(3, 1) for _ in iter(int, 1)]",
        "stop_oneself": "call(@tgkill@, os.getpid(), os.getpid(), 19) and time.sleep(9)",
        "ignore_signals": "[libc.signal(number, 1) for number in (1, 2, 3, 14, 15, 24)] and sum(iter(int, 1))",
        "catch_everything": "[failure(lambda: sum(iter(int, 1))) for _ in iter(int, 1)]",
    }.items()
}

ENDS = {
    "exit": Attack("os._exit(0)", "RunEnded exit"),
    "system_exit": Attack("sys.exit(0)", "CallFailed SystemExit"),
    "interrupt": Attack("(_ for _ in ()).throw(KeyboardInterrupt)", "CallFailed KeyboardInterrupt"),
    "null_pointer": Attack("ctypes.string_at(0)", "RunEnded signal"),
    "abort": Attack("libc.abort()", "RunEnded signal"),
    "call_of_x32": Attack("call(0x40000000 | 2, b'/etc/passwd', 0, 0)", "RunEnded seccomp"),
    "close_the_channel": Attack("os.close(4)", "RunEnded exit"),
    "close_the_channel_and_stay": Attack("os.close(4) or time.sleep(9)", "RunEnded channel"),
    "close_the_requests": Attack("os.close(3)", "None"),
    "close_output": Attack("os.close(1) or os.close(2) or 'answered'", "answered"),
    "error_without_text": Attack(
        """
class Evil(Exception):
    def __str__(self): raise RuntimeError
def attack(): raise Evil
""",
        "CallFailed Evil",
    ),
    "error_with_a_long_name": Attack("(_ for _ in ()).throw(type('E' * 10**6, (Exception,), {}))", "CallFailed E{100}"),
}

READING = {
    "environment": Attack("str([name for name in os.environ if 'KEY' in name])", r"\[\]"),
    "environment_of_c": Attack("libc.getenv(b'OPENAI_API_KEY')", "0"),
    "arguments_of_the_process": Attack("str([a for a in sys.orig_argv if '@SECRET@' in a])", r"\[\]"),
    "expectations_in_objects": Attack(
        """
def attack():
    gc = sys.modules["gc"]
    gc.unfreeze()
    wanted = "-".join(["EXPECTED", "@SECRET@"])
    found = set()
    for thing in gc.get_objects():
        inner = thing.values() if type(thing) is dict else thing if type(thing) in (list, tuple, set) else ()
        inner = list(inner)
        found |= {text for text in inner if type(text) is str and wanted in text}
    frame = sys._getframe(1)
    while frame:
        found |= {text for text in frame.f_locals.values() if type(text) is str and wanted in text}
        frame = frame.f_back
    return str(sorted(found))
""",
        r"\[\]",
    ),
    "code_of_the_project": Attack(
        "str([name for name in sys.modules if name.split('.')[0] in ('sandbox', 'webapp', 'inside', 'pydantic')])",
        r"\[\]",
    ),
}


def hostile(**replies: str) -> dict[str, Attack]:
    """Return attacks that answer with a value that is none."""
    return {name: Attack(f"reply({reply})", "BadResult") for name, reply in replies.items()}


REPLIES = hostile(
    huge_array="['a', '<f8', [10**12], True, True], bytes(8)",
    negative_side="['a', '<f8', [-1, -1], True, True], bytes(8)",
    boolean_side="['a', '<f8', [True], True, True], bytes(8)",
    fractional_side="['a', '<f8', [1.0], True, True], bytes(8)",
    empty_and_huge="['a', '<f8', [0, 10**30], True, True]",
    forty_sides="['a', '<f8', [1] * 40, True, True], bytes(8)",
    shape_of_text="['a', '<f8', '12', True, True], bytes(8)",
    too_few_bytes="['a', '<f8', [2], True, True], bytes(8)",
    too_many_bytes="['a', '<f8', [1], True, True], bytes(16)",
    objects="['a', '|O', [1], True, True], bytes(8)",
    structured="['a', [['x', '<f8']], [1], True, True], bytes(8)",
    structured_text="['a', '<f4,<f4', [1], True, True], bytes(8)",
    nothing_each="['a', '|V0', [10**9, 10**9], True, True]",
    texts="['a', '<U2', [1], True, True], bytes(8)",
    other_byte_order="['a', '>f8', [1], True, True], bytes(8)",
    times="['a', '<M8[ns]', [1], True, True], bytes(8)",
    unknown_node="['z', 1]",
    empty_node="[]",
    node_without_tag="[1, 2]",
    json_object="{'a': 1}",
    key_without_value="['d', 'a']",
    key_twice="['d', 'a', 1, 'a', 2]",
    key_that_is_a_list="['d', ['l'], 1]",
    key_that_is_a_fraction="['d', 1.5, 1]",
    long_integer="10**30",
    half_a_character="'\\ud800'",
    text_that_is_none="['s', 2], bytes([0xc3, 0x28])",
    negative_length="['b', -1]",
    length_beyond_the_end="['b', 1 << 40], bytes(8)",
    boolean_length="['b', True], bytes(1)",
    length_of_text="['b', 'x'], bytes(1)",
    nested_too_deep="eval('[\"l\",' * 50 + '0' + ']' * 50)",
    picture_file="['p', 4], b'file'",
    callback="['c', 0]",
    picture_of_no_mode="['r', 'XYZ', 1, 1, 1, 0], bytes(1)",
    picture_of_a_listed_mode="['r', ['L'], 1, 1, 1, 0], bytes(1)",
    picture_too_large="['r', 'L', 10**9, 10**9, 1, 0], bytes(1)",
    picture_of_many_bits="['r', '1', 60000, 8000, 60000000, 0], bytes(60000000)",
    picture_of_no_side="['r', 'L', 0, 5, 0, 0]",
    picture_half_full="['r', 'RGB', 4, 4, 47, 0], bytes(47)",
    picture_with_false_palette="['r', 'L', 1, 1, 1, 3], bytes(4)",
    picture_with_huge_palette="['r', 'P', 1, 1, 1, 999], bytes(1000)",
)
REPLIES |= {
    name: Attack(source, fails)
    for name, (source, fails) in {
        "pickle_stays_bytes": (
            "(lambda data: reply(['b', len(data)], data))(sys.modules['pickle'].dumps({'wanted': 1}))",
            "b'.*wanted.*'",
        ),
        "length_that_lies": ("reply(None, b'', 1 << 60)", "RunEnded channel"),
        "head_that_lies": ("raw(b'{}', head_length=1 << 30)", "RunEnded channel"),
        "no_json": ("raw(b'}{') or time.sleep(9)", "RunEnded channel"),
        "no_object": ("raw([1]) or time.sleep(9)", "RunEnded channel"),
        "deep_json": ("raw(b'[' * 10**6) or time.sleep(9)", "RunEnded channel"),
        "millions_of_values": ("raw(b'[' + b'[],' * 10**6) or time.sleep(9)", "RunEnded channel"),
        "no_unicode": ("raw(bytes([0xff, 0xfe])) or time.sleep(9)", "RunEnded channel"),
        "other_token": ("raw({'id': '0' * 16, 'kind': 'value', 'value': 1}) or time.sleep(9)", "RunEnded channel"),
        "token_that_is_a_list": ("raw({'id': [], 'kind': 'value'}) or time.sleep(9)", "RunEnded channel"),
        "no_token": ("raw({'kind': 'confined', 'layers': []}) or time.sleep(9)", "RunEnded channel"),
        "unknown_kind": ("reply(1, kind='verdict')", "RunEnded channel"),
        "kind_that_is_a_list": ("reply(1, kind=[])", "RunEnded channel"),
        "error_without_words": ("reply(1, kind='error')", "CallFailed "),
        "bad_without_a_reason": ("reply(1, kind='bad')", "BadResult"),
        "flood_of_frames": (
            "[raw({'id': channel().token, 'kind': 'callback'}, bytes(1 << 20)) for _ in iter(int, 1)]",
            "RunEnded channel|RunEnded exit",
        ),
        "flood_of_tiny_frames": ("[raw({}) for _ in range(10**6)]", "RunEnded channel"),
        "flood_without_a_frame": ("[os.write(4, bytes([255]) * 65536) for _ in iter(int, 1)]", "RunEnded channel"),
        "callback_that_is_none": (
            "raw({'id': channel().token, 'kind': 'callback', 'callback': 7, 'turn': 1, 'value': None}) or os._exit(0)",
            "RunEnded exit|RunEnded channel",
        ),
        "value_twice": (
            "raw({'id': channel().token, 'kind': 'value', 'value': 1}) or reply(2)",
            "1",
        ),
    }.items()
}

FAMILIES = {
    "files": FILES,
    "network": NETWORK,
    "processes": PROCESSES,
    "storms": STORMS,
    "endless": ENDLESS,
    "ends": ENDS,
    "reading": READING,
    "replies": REPLIES,
}
