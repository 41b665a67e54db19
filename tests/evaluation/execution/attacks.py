"""What a prediction could try, as Java statements: each returns where it succeeds and throws where it is refused.

Words in capitals stand for what is outside (`outside.py`): OUTSIDE for a folder with a file `secret`, SOCKET and
ABSTRACT for Unix sockets, FIFO, PORT for a TCP port, VICTIM for the number of a process. Those of `ON_THE_MACHINE` all
succeed in a JVM that nothing confines.
"""

import native

J = "java.nio.file.Files."
P = "java.nio.file.Path.of"
OWN_CLASSES = f"{P}(Box.class.getProtectionDomain().getCodeSource().getLocation().toURI())"
JAVA = 'System.getProperty("java.home") + "/bin/java"'
CHANNEL = "java.nio.channels.SocketChannel.open(java.net.UnixDomainSocketAddress.of"
UNSAFE = (
    'java.lang.reflect.Field field = Class.forName("sun.misc.Unsafe").getDeclaredField("theUnsafe"); '
    "field.setAccessible(true); sun.misc.Unsafe unsafe = (sun.misc.Unsafe) field.get(null); "
)
FORGED = r"x\tpassed\tclean\t0\t\n"


def first_of(*paths: str) -> str:
    """Return statements that succeed where one of these is there."""
    there = " || ".join(f'{J}exists({P}("{path}"))' for path in paths)
    return f'if (!({there})) throw new java.io.IOException("none");'


def cleared(name: str) -> str:
    """Return statements that set a class's fields, those of its objects excepted, to null, and then throw."""
    return (
        f'for (java.lang.reflect.Field one : Class.forName("{name}").getDeclaredFields()) '
        "if (java.lang.reflect.Modifier.isStatic(one.getModifiers()) && !one.getType().isPrimitive()) "
        "unsafe.putObject(unsafe.staticFieldBase(one), unsafe.staticFieldOffset(one), null); "
        "throw new IllegalStateException();"
    )


FILES = {
    "read_secret": f'{J}readString({P}("OUTSIDE/secret"));',
    "leaked_secret": f'throw new IllegalStateException({J}readString({P}("OUTSIDE/secret")));',
    "read_passwd": f'{J}readAllLines({P}("/etc/passwd"));',
    "read_homes": first_of("/root", "/home", "/work", "/var", "/run", "/sys", "/mnt", "/opt"),
    "write_outside": f'{J}writeString({P}("OUTSIDE/mine"), "x");',
    "delete_outside": f'{J}delete({P}("OUTSIDE/secret"));',
    "move_outside": f'{J}move({P}("OUTSIDE/secret"), {P}("OUTSIDE/other"));',
    "symlink": f'{J}createSymbolicLink({P}("link"), {P}("OUTSIDE")); {J}writeString({P}("link/mine"), "x");',
    "symlink_to_root": f'{J}createSymbolicLink({P}("up"), {P}("/")); {J}writeString({P}("upOUTSIDE/mine"), "x");',
    "hard_link": f'{J}createLink({P}("hard"), {P}("OUTSIDE/secret"));',
    "dots": f'{J}writeString({P}("../mine"), "x");',
    "own_classes": f'{J}writeString({OWN_CLASSES}.resolve("mine"), "x");',
    "others_classes": (
        f"for (java.nio.file.Path one : {J}list({OWN_CLASSES}.getParent()).toArray(java.nio.file.Path[]::new)) "
        f'{J}writeString(one.resolve("mine"), "x");'
    ),
    "jar": (
        f"{J}newOutputStream({P}(org.junit.Test.class.getProtectionDomain().getCodeSource().getLocation().toURI()), "
        "java.nio.file.StandardOpenOption.APPEND).close();"
    ),
    "services": (
        f'java.nio.file.Path folder = {J}createDirectories({OWN_CLASSES}.resolve("META-INF/services")); '
        f'{J}writeString(folder.resolve("java.lang.Object"), Box.class.getName()); '
        "java.util.ServiceLoader.load(Object.class, Box.class.getClassLoader()).iterator().next();"
    ),
    "devices": f'if ({J}list({P}("/dev")).count() <= 5) throw new java.io.IOException("five");',
    "processes_in_proc": f'{J}list({P}("/proc")).count();',
    "command_lines": f'{J}readString({P}("/proc/1/cmdline"));',
    "own_memory": 'new java.io.RandomAccessFile("/proc/self/mem", "rw").close();',
    "reopened_descriptor": 'new java.io.FileInputStream("/proc/self/fd/0").close();',
    "heap_dump": (
        "java.lang.management.ManagementFactory.getPlatformMXBean(com.sun.management.HotSpotDiagnosticMXBean.class)"
        '.dumpHeap("OUTSIDE/mine.hprof", false);'
    ),
}

NETWORK = {
    "unix_socket": f'{CHANNEL}({P}("SOCKET"))).close();',
    "fifo": 'new java.io.FileOutputStream("FIFO").write(1);',
    "tcp": 'new java.net.Socket("127.0.0.1", PORT).close();',
    "server": "new java.net.ServerSocket(0).close();",
    "udp": (
        "new java.net.DatagramSocket().send(new java.net.DatagramPacket(new byte[1], 1, "
        'java.net.InetAddress.getByName("127.0.0.1"), PORT));'
    ),
    "multicast": "new java.net.MulticastSocket(0).close();",
    "http": 'new java.net.URL("http://127.0.0.1:PORT/").openStream().close();',
    "http_client": (
        "java.net.http.HttpClient.newHttpClient().send(java.net.http.HttpRequest.newBuilder("
        'java.net.URI.create("http://127.0.0.1:PORT/")).build(), java.net.http.HttpResponse.BodyHandlers.ofString());'
    ),
    "interfaces": "java.net.NetworkInterface.getNetworkInterfaces().nextElement();",
}

PROCESSES = {
    "process": f'new ProcessBuilder({JAVA}, "-version").start();',
    "shell": 'Runtime.getRuntime().exec(new String[] {"/bin/sh", "-c", "touch OUTSIDE/mine"});',
    "kill": "if (!ProcessHandle.of(VICTIM).orElseThrow().destroyForcibly()) throw new java.io.IOException();",
    "other_processes": "ProcessHandle.allProcesses().skip(1).findAny().orElseThrow();",
    "parent": "ProcessHandle.current().parent().orElseThrow();",
    "library": native.loading(list(native.WAYS)),
}

ON_THE_MACHINE = {**FILES, **NETWORK, **PROCESSES}

ITSELF = {
    "exit": "System.exit(0);",
    "halt": "Runtime.getRuntime().halt(0);",
    "hook": ("Runtime.getRuntime().addShutdownHook(new Thread(() -> { while (box != null) { } })); System.exit(0);"),
    "crash": f"{UNSAFE} unsafe.putAddress(0, 0);",
    "root_folder": f'{J}createDirectory({P}("/mine"));',
}

MEMORY = {
    "heap": "java.util.List<long[]> all = new java.util.ArrayList<>(); while (box != null) all.add(new long[1 << 20]);",
    "direct_memory": (
        "java.util.List<Object> all = new java.util.ArrayList<>(); "
        "while (box != null) all.add(java.nio.ByteBuffer.allocateDirect(1 << 26));"
    ),
    "raw_memory": f"{UNSAFE} while (box != null) unsafe.setMemory(unsafe.allocateMemory(1 << 26), 1 << 26, (byte) 1);",
    "mapped_memory": (
        'try (var f = new java.io.RandomAccessFile("f", "rw")) { while (box != null) '
        "f.getChannel().map(java.nio.channels.FileChannel.MapMode.READ_WRITE, 0, 1 << 30).put(1 << 29, (byte) 1); }"
    ),
    "array": "long[] all = new long[Integer.MAX_VALUE - 8];",
    "recursion": "new Object() { void f() { f(); } }.f();",
    "full_disk": f'for (int i = 0; i < 200; i++) {J}write({P}("f" + i), new byte[1 << 20]);',
    "large_file": (
        f'try (var out = {J}newOutputStream({P}("f"))) {{ while (box != null) out.write(new byte[1 << 20]); }}'
    ),
    "fork_bomb": f"while (box != null) new ProcessBuilder({JAVA}).start();",
    "message": 'throw new IllegalStateException("x".repeat(20_000_000));',
}

THREADS = {
    "loop": "while (box != null) { }",
    "deadlock": "synchronized (box) { box.wait(); }",
    "thread_bomb": "while (box != null) new Thread(() -> { while (box != null) { } }).start();",
    "daemon": "Thread one = new Thread(() -> { while (box != null) { } }); one.setDaemon(true); one.start();",
    "thread_of_the_root_group": (
        "ThreadGroup root = Thread.currentThread().getThreadGroup(); "
        "while (root.getParent() != null) root = root.getParent(); "
        "new Thread(root, () -> { while (box != null) { } }).start();"
    ),
    "common_pool": ("java.util.concurrent.ForkJoinPool.commonPool().execute(() -> { while (box != null) { } });"),
    "timer": (
        "new java.util.Timer().schedule(new java.util.TimerTask() { public void run() { System.exit(0); } }, 900);"
    ),
    "executor": "java.util.concurrent.Executors.newFixedThreadPool(2).submit(() -> box.size(1));",
    "handler": (
        "Thread.setDefaultUncaughtExceptionHandler((thread, thrown) -> { while (box != null) { } }); "
        "throw new IllegalStateException();"
    ),
    "interrupted_runner": (
        "Thread[] all = new Thread[99]; ThreadGroup root = Thread.currentThread().getThreadGroup().getParent(); "
        "for (int i = root.enumerate(all) - 1; i >= 0; i--) all[i].interrupt(); throw new IllegalStateException();"
    ),
}

RUNNER = {
    "forged_output": (
        f'new java.io.FileOutputStream(java.io.FileDescriptor.out).write("{FORGED}".getBytes()); '
        "throw new IllegalStateException();"
    ),
    "forged_message": f'throw new IllegalStateException("{FORGED}");',
    "hostile_message": (
        "throw new IllegalStateException() { public String getMessage() { System.exit(0); return null; } };"
    ),
    "read_requests": "if (new java.io.FileInputStream(java.io.FileDescriptor.in).read() < 0) throw new Exception();",
    "closed_descriptors": (
        "new java.io.FileOutputStream(java.io.FileDescriptor.out).close(); "
        "new java.io.FileInputStream(java.io.FileDescriptor.in).close(); throw new IllegalStateException();"
    ),
    "forged_descriptors": (
        f'{UNSAFE} long at = unsafe.objectFieldOffset(java.io.FileDescriptor.class.getDeclaredField("fd")); '
        "for (int i = 3; i < 64; i++) { java.io.FileDescriptor fd = new java.io.FileDescriptor(); "
        f'unsafe.putInt(fd, at, i); try {{ new java.io.FileOutputStream(fd).write("{FORGED}".getBytes()); }} '
        "catch (java.io.IOException closed) { } } throw new IllegalStateException();"
    ),
    "endless_output": "while (box != null) { System.out.println(box); System.err.println(box); }",
    "endless_raw_output": (
        "while (box != null) new java.io.FileOutputStream(java.io.FileDescriptor.out).write(new byte[1 << 20]);"
    ),
    "runners_fields": f"{UNSAFE} {cleared('assertkd.Runner')}",
    "broken_frameworks": f"{UNSAFE} {cleared('org.junit.runners.ParentRunner')}",
    "url_handlers": (
        "java.net.URL.setURLStreamHandlerFactory(name -> { throw new IllegalStateException(); }); "
        "throw new IllegalStateException();"
    ),
    "provider": (
        'java.security.Security.removeProvider("SUN"); java.security.Security.setProperty("securerandom.source", "x"); '
        "throw new IllegalStateException();"
    ),
    "defaults": (
        'System.setProperty("line.separator", "x"); java.util.Locale.setDefault(java.util.Locale.JAPAN); '
        'java.util.TimeZone.setDefault(java.util.TimeZone.getTimeZone("Asia/Tokyo")); System.setOut(null); '
        "throw new IllegalStateException();"
    ),
}

ATTACKS = {**ON_THE_MACHINE, **ITSELF, **MEMORY, **THREADS, **RUNNER}

TEXTS = {
    "closed_braces": "assertTrue(true); } } class Mine { static { System.exit(0); } void f() { { assertTrue(true);",
    "escaped_braces": "assertTrue(true); \\u007d \\u007d class Mine \\u007b void f() \\u007b \\u007b assertTrue(true);",
    "twice_escaped": "assertTrue(true); \\u005cu007d class Mine { }",
    "open_comment": "assertTrue(true); /*",
    "escaped_comment": "assertTrue(true); \\u002f\\u002a",
    "an_import": "import java.util.*; assertTrue(true);",
    "a_package": "package org.junit; assertTrue(true);",
    "no_assertion": "System.exit(0);",
    "deep": "assertEquals(1, " + "(" * 50_000 + "1" + ")" * 50_000 + ");",
    "nul": "assertTrue(true);\0}",
}
"""Predictions that are something else than assertions."""


def assertion(code: str) -> str:
    """Return an assertion that holds where the statements come to their end."""
    call = f"((java.util.concurrent.Callable<Integer>) () -> {{ if (box != null) {{ {code} }} return 0; }}).call()"
    return f"assertEquals(0, {call}.intValue());"
