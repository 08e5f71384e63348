package org.dit4j.torch;

import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class FirstTouchTest {
    @TempDir
    private Path folder;

    /** JavaCPP reads its limits once; its own would end the process at four times the Java heap. */
    @ParameterizedTest
    @ValueSource(strings = {"network", "autoencoder", "tiny autoencoder", "file", "scope", "pipeline"})
    void howeverAProgramBeginsJavaCppHasNoLimits(String first) throws Exception {
        Path file = folder.resolve("empty.safetensors");
        Files.write(file, new byte[] {2, 0, 0, 0, 0, 0, 0, 0, '{', '}'});
        Process process = new ProcessBuilder(
                        Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                        "-XX:TieredStopAtLevel=1",
                        "-cp",
                        System.getProperty("java.class.path"),
                        FirstTouch.class.getName(),
                        first,
                        file.toString())
                .redirectErrorStream(true)
                .start();
        String said = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertTrue(said.endsWith("limits 0 0"), said);
    }
}
