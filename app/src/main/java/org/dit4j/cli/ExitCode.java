package org.dit4j.cli;

/** What the process returns; {@code docs/command-line.md} has the same table. */
enum ExitCode {
    DONE(0, "done"),
    INTERNAL(1, "internal error"),
    USAGE(2, "usage or configuration"),
    DATA(4, "data"),
    CHECKPOINT(5, "checkpoint"),
    DEVICE(6, "device or native library"),
    OUT_OF_MEMORY(7, "out of memory"),
    DISK_FULL(8, "disk full"),
    DIVERGED(9, "training diverged"),
    UNFINISHED(75, "the watched run is not finished"),
    HUNG_UP(129, "stopped by a closed terminal (SIGHUP)"),
    INTERRUPTED(130, "stopped by Ctrl-C (SIGINT)"),
    TERMINATED(143, "stopped by SIGTERM");

    final int code;
    final String meaning;

    ExitCode(int code, String meaning) {
        this.code = code;
        this.meaning = meaning;
    }
}
