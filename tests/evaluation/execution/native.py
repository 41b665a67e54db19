"""A library of machine code that tries what Java cannot, and loads only where one of its ways succeeds."""

import base64
import gzip
import shutil
import subprocess
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

WAYS = {
    "passwd": 'open("/etc/passwd", O_RDONLY) >= 0',
    "fork": "begin() > 0",
    "inet": "socket(AF_INET, SOCK_STREAM, 0) >= 0",
    "netlink": "socket(AF_NETLINK, SOCK_RAW, 0) >= 0",
    "abstract": "reach(name) == 0",
    "memory": 'syscall(SYS_memfd_create, "memory", 0) >= 0',
    "unshare": "unshare(CLONE_FS) == 0",
}
"""Name to a condition in C that holds where it succeeds. `name` is that of an abstract socket outside."""

SOURCE = r"""
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

static int begin(void) {
    int child = fork();
    if (child == 0) _exit(0);
    return child;
}

static int reach(const char *name) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strcpy(address.sun_path + 1, name);
    socklen_t size = offsetof(struct sockaddr_un, sun_path) + 1 + strlen(name);
    return connect(socket(AF_UNIX, SOCK_STREAM, 0), (struct sockaddr *) &address, size);
}

int JNI_OnLoad(void *vm, void *reserved) {
    char way[32] = "", name[64] = "";
    FILE *file = fopen("way", "r");
    if (file != NULL) fscanf(file, "%31s %63s", way, name);
    int succeeds = 0;
WAYS
    return succeeds ? 0x00010008 : -1;
}
"""
"""The number that it returns where nothing succeeds is that of no version of JNI, which the JVM refuses."""


@cache
def library() -> str | None:
    """Return the library, packed, in base64; None without a C compiler."""
    compiler = shutil.which("cc")
    if compiler is None:
        return None
    tries = "\n".join(f'    if (strcmp(way, "{name}") == 0) succeeds = {holds};' for name, holds in WAYS.items())
    with TemporaryDirectory() as name:
        source, made = Path(name, "ways.c"), Path(name, "ways.so")
        source.write_text(SOURCE.replace("WAYS", tries), encoding="utf-8")
        subprocess.run([compiler, "-shared", "-fPIC", "-Os", "-s", "-w", "-o", made, source], check=True)
        return base64.b64encode(gzip.compress(made.read_bytes())).decode()


def loading(ways: list[str]) -> str:
    """Return Java statements that load the library for each of these ways, and throw where none succeeds."""
    return (
        f'int loaded = 0, tried = 0; for (String way : "{" ".join(ways)}".split(" ")) {{ '
        'java.nio.file.Path file = java.nio.file.Path.of("way_" + way + ".so").toAbsolutePath(); '
        'java.nio.file.Files.writeString(java.nio.file.Path.of("way"), way + " ABSTRACT"); '
        f'byte[] packed = java.util.Base64.getDecoder().decode("{library()}"); '
        "var unpacked = new java.util.zip.GZIPInputStream(new java.io.ByteArrayInputStream(packed)); "
        "java.nio.file.Files.write(file, unpacked.readAllBytes()); "
        "try { System.load(file.toString()); loaded++; } catch (UnsatisfiedLinkError refused) { "
        'if (refused.getMessage().contains("JNI version")) tried++; } } '
        'if (loaded == 0) throw new java.io.IOException(tried + " tried");'
    )
