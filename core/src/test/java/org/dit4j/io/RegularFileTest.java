package org.dit4j.io;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.dit4j.torch.TensorScope;
import org.dit4j.torch.Tensors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class RegularFileTest {
    @TempDir
    Path folder;

    private interface Reader {
        Object read(Path path) throws IOException;
    }

    private static final Map<String, Reader> READERS = new LinkedHashMap<>();

    static {
        READERS.put("safetensors", Safetensors::header);
        READERS.put("torch", TorchFile::inspect);
        READERS.put("npy", Npy::header);
        READERS.put("npz", Npz::headers);
        READERS.put("index", ShardIndex::read);
    }

    @Test
    @EnabledOnOs(OS.LINUX)
    void aPipeOrADeviceIsRefusedByEveryReaderAtOnce() throws IOException, InterruptedException {
        Path pipe = folder.resolve("pipe");
        assertEquals(0, new ProcessBuilder("mkfifo", pipe.toString()).start().waitFor());
        READERS.forEach((name, reader) -> {
            for (Path path : List.of(pipe, Path.of("/dev/zero"))) {
                FormatException refused = assertTimeoutPreemptively(
                        Duration.ofSeconds(5),
                        () -> assertThrows(FormatException.class, () -> reader.read(path)),
                        name);
                assertTrue(refused.getMessage().contains("is a pipe, a device or a socket"), refused.getMessage());
            }
            assertTrue(assertThrows(FormatException.class, () -> reader.read(folder))
                    .getMessage()
                    .contains("is a folder"));
        });
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            quoteCharacter = '`',
            value = {
                "version https://git-lfs.github.com/spec/v1\\noid sha256:4d7a\\nsize 12345\\n | a git-lfs pointer, the note that stands for the file of 12345 bytes",
                "<!DOCTYPE html><html> | an HTML page, not weights",
                "\\n  <HTML lang=en> | an HTML page, not weights",
                "<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code> | an XML text, not weights",
                "`` | is empty",
                "\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0 | begins with zeros",
                "\\37\\213\\10\\0\\0\\0\\0\\0\\0 | packed by gzip",
                "Entry not found | a text, not weights, beginning \"Entry not found\"",
            })
    void whatIsNoFileOfWeightsIsCalledWhatItIs(String content, String kind) throws IOException {
        byte[] bytes = content.translateEscapes().getBytes(StandardCharsets.ISO_8859_1);
        Path path = Files.write(folder.resolve("weights"), bytes);
        for (String name : List.of("safetensors", "torch")) {
            String message = assertThrows(
                            FormatException.class, () -> READERS.get(name).read(path))
                    .getMessage();
            assertTrue(message.contains(kind), message);
        }
    }

    @Test
    void aCutFileIsCalledCutWithItsBytes() throws IOException {
        Path torch = folder.resolve("a.pt"), safetensors = folder.resolve("a.safetensors");
        try (TensorScope scope = new TensorScope()) {
            TorchFile.write(torch, Map.of("w", Tensors.of(new float[100], 100)));
            Safetensors.write(safetensors, Map.of("w", Tensors.of(new float[100], 100)), Map.of());
        }
        for (Path path : List.of(torch, safetensors))
            for (int length : new int[] {40, (int) Files.size(path) - 30}) {
                byte[] whole = Files.readAllBytes(path);
                Path cut = Files.write(folder.resolve("cut"), java.util.Arrays.copyOf(whole, length));
                Reader reader = READERS.get(path.equals(torch) ? "torch" : "safetensors");
                String message = assertThrows(FormatException.class, () -> reader.read(cut))
                        .getMessage();
                assertTrue(message.contains("cut short"), message);
            }
    }
}
