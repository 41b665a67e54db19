"""Runs a command that must do no harm: python -I confine.py {memory,folder,limits} FOLDER ADDRESS_SPACE COMMAND…

It is started as a script of its own, before the command, and needs nothing of the package.

`limits` sets resource limits alone. The other two also give the command Linux namespaces of its own, for which no
privilege is needed: no network, no sight of other processes, all that it starts ends with it, and every file is
read-only but those below FOLDER. That folder is in memory and forgotten at the end, or the real one.
"""

import ctypes
import os
import resource
import signal
import sys

LARGEST_FILE = 64 << 20
MEMORY_FOLDER = b"size=64m,mode=700"

CLONE_NEWNS, CLONE_NEWIPC, CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = (
    0x20000,
    0x8000000,
    0x10000000,
    0x20000000,
    0x40000000,
)
MS_NOSUID, MS_NODEV, MS_BIND, MS_REC, MS_PRIVATE = 0x2, 0x4, 0x1000, 0x4000, 0x40000
MOUNT_SETATTR, AT_FDCWD, AT_RECURSIVE, MOUNT_ATTR_RDONLY = 442, -100, 0x8000, 0x1
PR_SET_PDEATHSIG, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 1, 24, 38

libc = ctypes.CDLL(None, use_errno=True)


class MountAttributes(ctypes.Structure):
    """`struct mount_attr` of mount_setattr(2)."""

    _fields_ = (
        ("attr_set", ctypes.c_uint64),
        ("attr_clr", ctypes.c_uint64),
        ("propagation", ctypes.c_uint64),
        ("userns_fd", ctypes.c_uint64),
    )


def checked(what: str, result: int) -> None:
    """Raise OSError where a call of libc failed."""
    if result == -1:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def set_limits(address_space: int) -> None:
    """Limit the address space (bytes; with it the number of threads), the size of files, and core dumps to none."""
    for limit, value in (
        (resource.RLIMIT_AS, address_space),
        (resource.RLIMIT_FSIZE, LARGEST_FILE),
        (resource.RLIMIT_CORE, 0),
    ):
        most = resource.getrlimit(limit)[1]
        value = value if most == resource.RLIM_INFINITY else min(value, most)
        resource.setrlimit(limit, (value, value))


def enter_namespaces() -> None:
    """Go into new namespaces, as the user who we are; go on as their first process, which dies with its parent."""
    user, group = os.getuid(), os.getgid()
    checked("unshare", libc.unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWPID))
    for name, text in (("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1")):
        with open(f"/proc/self/{name}", "w") as handle:  # noqa: PTH123 -- as little as possible is imported here
            handle.write(text)
    child = os.fork()
    if child:
        status = os.waitpid(child, 0)[1]
        os._exit(os.waitstatus_to_exitcode(status) & 0xFF)
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def make_read_only(folder: bytes, in_memory: bool) -> None:
    """Make every file read-only but those below `folder`, for this process and those that it starts."""
    checked("mount /", libc.mount(None, b"/", None, MS_REC | MS_PRIVATE, None))
    if in_memory:
        checked("mount tmpfs", libc.mount(b"tmpfs", folder, b"tmpfs", MS_NOSUID | MS_NODEV, MEMORY_FOLDER))
    else:
        checked("mount folder", libc.mount(folder, folder, None, MS_BIND | MS_REC, None))
    set_attributes(b"/", AT_RECURSIVE, MountAttributes(attr_set=MOUNT_ATTR_RDONLY))
    set_attributes(folder, 0, MountAttributes(attr_clr=MOUNT_ATTR_RDONLY))


def set_attributes(path: bytes, flags: int, attributes: MountAttributes) -> None:
    """Change the attributes of a mount."""
    size = ctypes.sizeof(attributes)
    checked("mount_setattr", libc.syscall(MOUNT_SETATTR, AT_FDCWD, path, flags, ctypes.byref(attributes), size))


def drop_privileges() -> None:
    """Give up every capability, also of a superuser's, for good."""
    for capability in range(64):
        libc.prctl(PR_CAPBSET_DROP, capability)
    libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def main(arguments: list[str]) -> None:
    """Become the command."""
    kind, folder, address_space, *command = arguments
    if sys.platform == "linux":
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    set_limits(int(address_space))
    if kind != "limits":
        enter_namespaces()
        make_read_only(os.fsencode(folder), kind == "memory")
        drop_privileges()
    os.chdir(folder)
    os.execv(command[0], command)


if __name__ == "__main__":
    main(sys.argv[1:])
