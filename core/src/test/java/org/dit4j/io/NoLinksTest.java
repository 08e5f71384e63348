package org.dit4j.io;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class NoLinksTest {
    @TempDir
    private Path root;

    private void write(Path folder, String name) throws IOException {
        try (FileChannel channel =
                NoLinks.open(folder, folder.resolve(name), StandardOpenOption.CREATE, StandardOpenOption.WRITE)) {
            channel.write(ByteBuffer.wrap(new byte[] {'n', 'e', 'w'}));
        }
    }

    @Test
    void nothingIsWrittenThroughALinkBelowTheFolder() throws IOException {
        Path run = Files.createDirectory(root.resolve("run")), outside = Files.createDirectory(root.resolve("outside"));
        Path stranger = Files.writeString(outside.resolve("file"), "stays");
        Files.createSymbolicLink(run.resolve("log.txt"), stranger);
        Files.createSymbolicLink(run.resolve("gone.txt"), outside.resolve("not there yet"));
        Files.createSymbolicLink(run.resolve("samples"), outside);
        for (String name : new String[] {"log.txt", "gone.txt", "samples/file", "samples/other"}) {
            FormatException e = assertThrows(FormatException.class, () -> write(run, name), name);
            assertTrue(e.getMessage().contains("is a symbolic link to " + outside), e.getMessage());
        }
        assertEquals("stays", Files.readString(stranger));
        try (var entries = Files.list(outside)) {
            assertEquals(1, entries.count());
        }
        for (String name : new String[] {"../outside/file", "."})
            assertThrows(IllegalArgumentException.class, () -> write(run, name), name);
    }

    @Test
    void theFolderItselfMayBeReachedThroughOne() throws IOException {
        Path disk = Files.createDirectory(root.resolve("disk"));
        Path results = Files.createSymbolicLink(root.resolve("results"), disk);
        write(results, "log.txt");
        assertEquals("new", Files.readString(disk.resolve("log.txt")));
    }

    @Test
    void whatSteersATerminalIsShownInstead() {
        assertEquals("\\u001b[2Jcat", Printable.text("\u001b[2Jcat"));
        assertEquals(
                "\\u009b31m \\u202egnp.exe \\u2066 \\u007f", Printable.text("\u009b31m \u202egnp.exe \u2066 \u007f"));
        assertEquals("a\nb\tc\r\nd\\u000de", Printable.text("a\nb\tc\r\nd\re"));
        assertEquals("a\\u000ab", Printable.line("a\nb"));
        String plain = "Katze, 猫, кошка, חתול, 🐈 – naïve";
        assertSame(plain, Printable.text(plain));
    }
}
