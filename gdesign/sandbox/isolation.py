"""The means that keep a program from files, network and other processes: bubblewrap, Landlock, a seccomp filter."""

import errno
import os
import shutil
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Literal

Isolation = Literal["bubblewrap", "landlock", "none"]

STATEMENTS: dict[Isolation, str] = {
    "bubblewrap": "bubblewrap: namespaces of its own (no network, no files but Python's own), a seccomp filter, limits",
    "landlock": "landlock: no files but Python's own (Landlock), no network and no other processes (a seccomp filter), "
    "limits",
    "none": "none: limits on time and memory alone; programs can reach the network and your files",
}
"""What is in force, in words."""


def _readable() -> list[str]:
    folders = [
        sysconfig.get_path("stdlib"),
        *(
            f"{prefix}/{lib}"
            for prefix in (sys.base_prefix, sys.base_exec_prefix, "/usr", "")
            for lib in ("lib", "lib64")
        ),
        "/usr/share/zoneinfo",
        "/etc/ld.so.cache",
        "/etc/localtime",
    ]
    return [folder for folder in dict.fromkeys(folders) if os.path.exists(folder)]


@contextmanager
def ruleset_for(folder: str) -> Iterator[int]:
    """Make a Landlock ruleset: Python's own files can be read, a folder be written to."""
    from landlockpy import AccessFS, Ruleset, Scope

    reading = AccessFS.READ_FILE | AccessFS.READ_DIR
    scoped = Scope.ABSTRACT_UNIX_SOCKET | Scope.SIGNAL
    with Ruleset(scoped=scoped) as ruleset:
        for path in _readable():
            ruleset.allow_path(path, reading if os.path.isdir(path) else AccessFS.READ_FILE)
        for device in ("/dev/null", "/dev/zero", "/dev/random", "/dev/urandom"):
            ruleset.allow_path(device, AccessFS.READ_FILE | AccessFS.WRITE_FILE)
        ruleset.allow_path(folder, ruleset.handled_fs & ~AccessFS.EXECUTE)
        yield ruleset.fileno()


def bubble(python: str, file_bytes: int) -> list[str]:
    """Return the command that makes namespaces with Python's own files and an empty folder in memory."""
    binds = []
    for path in (python, *_readable()):
        if os.path.islink(path) and path.count("/") == 1:
            binds += ["--symlink", os.readlink(path), path]
        else:
            binds += ["--ro-bind", path, path]
    alone = ["--unshare-all", "--unshare-user", "--uid", "65534", "--gid", "65534", "--die-with-parent"]
    folder = ["--dev", "/dev", "--size", str(file_bytes), "--perms", "0700", "--tmpfs", "/box", "--chdir", "/box"]
    bwrap = shutil.which("bwrap")
    assert bwrap is not None
    return [bwrap, *alone, *binds, *folder, "--"]


@cache
def syscall_filter() -> bytes:
    """Return a seccomp filter: what Python needs for its own files and pipes is allowed, all else is refused."""
    from seccompy import Action, Filter, arch
    from seccompy.syscalls import AARCH64_SYSCALLS, X86_64_SYSCALLS

    here = X86_64_SYSCALLS if arch() == "x86_64" else AARCH64_SYSCALLS
    made = Filter(Action.ERRNO | errno.EPERM)
    for name in ALLOWED.split():
        if name in here:  # a newer architecture lacks the older names
            made.allow(name)
    made.errno("clone3", errno.ENOSYS)
    made.allow("prlimit64", args={2: 0})  # reading limits, not setting them
    for command in (0, 1, 2, 3, 4, 5, 6, 7, 1030):  # copies, flags and locks; not who is sent a signal
        made.allow("fcntl", args={1: command})
    for command in (0x5401, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451):  # is it a terminal, how large, how much to read
        made.allow("ioctl", args={1: command})
    # asyncio wakes itself through a pair of sockets that are tied to each other and to nothing else
    made.allow("socketpair", args={0: 1})
    made.allow("sendto", args={4: 0})
    return made.program


ALLOWED = """
access brk chdir clock_getres clock_gettime clock_nanosleep close close_range copy_file_range dup dup2 dup3
epoll_create epoll_create1 epoll_ctl epoll_pwait epoll_wait eventfd2 exit exit_group faccessat faccessat2 fadvise64
fallocate fchdir fdatasync flock fstat fstatfs fsync ftruncate futex getcpu getcwd getdents64
getegid geteuid getgid getgroups getitimer getpgid getpgrp getpid getppid getrandom getresgid getresuid getrlimit
getrusage getsid gettid gettimeofday getuid lseek link linkat lstat madvise membarrier mmap mprotect
mremap munmap nanosleep newfstatat open openat openat2 pause pipe pipe2 poll ppoll pread64 preadv pselect6 pwrite64
pwritev read readlink readlinkat readv recvfrom rename renameat renameat2 restart_syscall rseq rt_sigaction
rt_sigpending rt_sigprocmask rt_sigreturn rt_sigsuspend rt_sigtimedwait sched_getaffinity sched_yield select sendfile
set_robust_list setitimer shutdown sigaltstack stat statfs statx symlink symlinkat sysinfo time times umask
uname unlink unlinkat wait4 waitid write writev
"""
"""System calls that programs may make: no sockets, no processes, no signals to others, no tracing, no mounts.

Nor what Landlock leaves open: the mode, owner, times and attributes of files. Nor new folders: one within the other,
deeper than a path can be long, they could neither be measured nor removed.
"""
