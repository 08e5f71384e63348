package org.dit4j.io;

import com.code_intelligence.jazzer.junit.FuzzTest;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import org.dit4j.data.TarShards;
import org.dit4j.data.TarShardsConfig;
import org.dit4j.torch.TensorScope;
import org.junit.jupiter.api.Tag;

/**
 * A target per format for long runs: {@code JAZZER_FUZZ=1 mvn test -pl core -Dtest=FormatsFuzzTest#pickle -Ddit.excludedTags=}. What is
 * not a FormatException is a finding. The seeds are small files by torch, safetensors, NumPy, Pillow and tarfile, among the test resources; what a
 * run finds is stored there too.
 */
@Tag("slow")
class FormatsFuzzTest {
    private static final Path FILE = temporary();

    private static Path temporary() {
        try {
            Path path = Files.createTempFile("fuzz-", ".bin");
            path.toFile().deleteOnExit();
            return path;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private interface Reader {
        void read(Path path) throws IOException;
    }

    private static void fuzz(byte[] file, Reader reader) throws IOException {
        try (TensorScope scope = new TensorScope()) {
            reader.read(Files.write(FILE, file));
        } catch (FormatException refused) {
            // as it should be
        }
    }

    @FuzzTest(maxDuration = "10m")
    void safetensors(byte[] file) throws IOException {
        fuzz(file, Safetensors::read);
    }

    @FuzzTest(maxDuration = "10m")
    void torchFile(byte[] file) throws IOException {
        fuzz(file, TorchFile::read);
    }

    @FuzzTest(maxDuration = "10m")
    void pickle(byte[] program) throws IOException {
        try {
            new Unpickler("fuzz", new ByteArrayInputStream(program), program.length, new HashMap<>()).load();
        } catch (FormatException refused) {
            // as it should be
        }
    }

    @FuzzTest(maxDuration = "10m")
    void npy(byte[] file) throws IOException {
        fuzz(file, Npy::read);
    }

    @FuzzTest(maxDuration = "10m")
    void npz(byte[] file) throws IOException {
        fuzz(file, Npz::read);
    }

    @FuzzTest(maxDuration = "10m")
    void tar(byte[] file) throws IOException {
        fuzz(file, path -> {
            try (TarShards shards = TarShards.open(path, TarShardsConfig.of(8))) {
                for (long i = 0; i < shards.size(); i++) shards.pixels(i, new float[3 * 8 * 8], 0);
            }
        });
    }

    /** The chunks of a PNG, whose checksums always fit. */
    @FuzzTest(maxDuration = "10m")
    void pngChunks(byte[] file) throws IOException {
        image(PngChecksums.repaired(file));
    }

    /** The segments and scans of a JPEG: what comes after its first two bytes. */
    @FuzzTest(maxDuration = "10m")
    void jpegSegments(byte[] segments) throws IOException {
        byte[] file = new byte[segments.length + 2];
        file[0] = (byte) 0xff;
        file[1] = (byte) 0xd8;
        System.arraycopy(segments, 0, file, 2, segments.length);
        image(file);
    }

    @FuzzTest(maxDuration = "10m")
    void image(byte[] file) throws IOException {
        try {
            Images.read(new ByteArrayInputStream(file), "fuzz");
        } catch (FormatException refused) {
            // as it should be
        }
    }
}
