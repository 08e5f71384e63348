package org.dit4j.cli;

import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;

/** Standard output, which remembers why it could not be written: Java's own says nothing. */
final class Output extends OutputStream {
    private final OutputStream out;
    private IOException failure;

    Output(OutputStream out) {
        this.out = out;
    }

    static Output standard() {
        return new Output(new FileOutputStream(FileDescriptor.out));
    }

    PrintStream stream() {
        return new PrintStream(this, true, StandardCharsets.UTF_8);
    }

    @Override
    public void write(int b) throws IOException {
        write(new byte[] {(byte) b}, 0, 1);
    }

    @Override
    public void write(byte[] bytes, int from, int length) throws IOException {
        try {
            out.write(bytes, from, length);
        } catch (IOException e) {
            if (failure == null) failure = e;
            throw e;
        }
    }

    @Override
    public void flush() throws IOException {
        out.flush();
    }

    /** The exit code of a command that ended with {@code exitCode}; a result that did not arrive is none. */
    int exitCode(int exitCode, PrintStream err) {
        if (failure == null || exitCode != ExitCode.DONE.code) return exitCode;
        // whoever closes a pipe has read enough, as head does
        if (String.valueOf(failure.getMessage()).contains("Broken pipe")) return exitCode;
        Failure said = Failure.of(new IOException("standard output: " + failure.getMessage(), failure));
        err.println("dit: " + said.getMessage());
        return said.exitCode.code;
    }
}
