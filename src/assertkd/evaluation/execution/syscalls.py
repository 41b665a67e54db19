"""The system calls that confined code is refused, as a filter of seccomp(2)."""

import errno
import platform
import struct

MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
"""Machine to its column in `REFUSED`, and its number in linux/audit.h."""

REFUSED: dict[str, tuple[int | None, int | None]] = {
    # Processes: a thread is all that may be started, so that what is limited for the process is limited for all.
    "fork": (57, None),
    "vfork": (58, None),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "kcmp": (312, 272),
    "pidfd_open": (434, 434),
    "pidfd_getfd": (438, 438),
    # Namespaces and file systems.
    "unshare": (272, 97),
    "setns": (308, 268),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    "quotactl": (179, 60),
    # Large parts of the kernel that Java does without, and ways around the rules on sockets.
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "keyctl": (250, 219),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "kexec_load": (246, 104),
    "modify_ldt": (154, None),
    "syslog": (103, 116),
    "personality": (135, 92),
    # Memory that no limit counts.
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    "shmget": (29, 194),
    "semget": (64, 190),
    "msgget": (68, 186),
    "mq_open": (240, 180),
}
"""Name to number, by machine."""

CLONE, CLONE3 = (56, 220), 435
SOCKET, SOCKETPAIR = (41, 198), (53, 199)
CLONE_THREAD, AF_UNIX = 0x10000, 1
X32 = 0x40000000
"""From this number on, calls are those of the ABI x32."""

LOAD, JUMP_EQUAL, JUMP_GREATER_EQUAL, JUMP_SET, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
NUMBER, MACHINE, FIRST_ARGUMENT = 0, 4, 16
"""Where they stand in `struct seccomp_data`, the argument's lower half first: both machines are little-endian."""

ALLOW, FAIL, KILL = 0x7FFF0000, 0x00050000, 0x80000000


def syscall_filter(machine: str | None = None) -> bytes:
    """Return the filter as an array of `struct sock_filter`, as `bwrap --seccomp` reads it.

    Refused calls fail with EPERM. So does `clone` for anything but a thread; `clone3`, whose flags no filter sees, is
    said not to exist, and libraries take `clone`. Sockets are those of AF_UNIX.

    Raises:
        KeyError: no numbers of this machine are known.
    """
    column, audit = MACHINES[machine or platform.machine()]
    program = [(LOAD, 0, 0, MACHINE), (JUMP_EQUAL, 1, 0, audit), (RETURN, 0, 0, KILL), (LOAD, 0, 0, NUMBER)]

    def refuse(number: int, code: int, jump: int = JUMP_EQUAL) -> None:
        program.extend([(jump, 0, 1, number), (RETURN, 0, 0, FAIL | code)])

    def allow_only(number: int, jump: int, argument: int, code: int) -> None:
        """Refuse a call unless its first argument is, or has, what is named."""
        rest = [
            (LOAD, 0, 0, FIRST_ARGUMENT),
            (jump, 0, 1, argument),
            (RETURN, 0, 0, ALLOW),
            (RETURN, 0, 0, FAIL | code),
        ]
        program.extend([(JUMP_EQUAL, 0, len(rest), number), *rest])

    if column == 0:
        refuse(X32, errno.EPERM, JUMP_GREATER_EQUAL)
    for numbers in REFUSED.values():
        number = numbers[column]
        if number is not None:
            refuse(number, errno.EPERM)
    refuse(CLONE3, errno.ENOSYS)
    allow_only(CLONE[column], JUMP_SET, CLONE_THREAD, errno.EPERM)
    for call in (SOCKET, SOCKETPAIR):
        allow_only(call[column], JUMP_EQUAL, AF_UNIX, errno.EAFNOSUPPORT)
    program.append((RETURN, 0, 0, ALLOW))
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in program)
