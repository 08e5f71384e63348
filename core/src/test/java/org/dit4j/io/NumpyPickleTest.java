package org.dit4j.io;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.net.URISyntaxException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import org.bytedeco.pytorch.Tensor;
import org.dit4j.torch.TensorScope;
import org.dit4j.torch.Tensors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Pickles that Python 3.11 with NumPy 2.4 wrote: mu = (0, 1, 2) / 8, sigma = (−4 … 4) / 16, the second Fortran-ordered or big-endian. */
class NumpyPickleTest {
    private static Path resource(String name) throws URISyntaxException {
        return Path.of(NumpyPickleTest.class.getResource(name).toURI());
    }

    @ParameterizedTest
    @ValueSource(ints = {2, 4, 5})
    void dictionariesOfArraysOfEveryProtocolAreRead(int protocol) throws Exception {
        try (TensorScope scope = new TensorScope()) {
            Map<String, Object> read = NumpyPickle.read(resource("statistics_p" + protocol + ".pkl"));
            assertEquals(50000L, read.get("num_images"));
            Map<?, ?> fid = (Map<?, ?>) read.get("fid"), dino = (Map<?, ?>) read.get("fd_dinov2");
            assertArrayEquals(new double[] {0, 0.125, 0.25}, Tensors.toDoubles((Tensor) fid.get("mu")));
            double[] sigma = new double[9];
            Arrays.setAll(sigma, i -> (i - 4) / 16.0);
            assertArrayEquals(sigma, Tensors.toDoubles((Tensor) fid.get("sigma")));
            assertArrayEquals(new double[] {sigma[0], sigma[1], sigma[3], sigma[4]}, Tensors.toDoubles((Tensor)
                    dino.get("sigma")));
        }
    }

    @Test
    void anyOtherObjectIsRefusedByName() throws Exception {
        for (String name : new String[] {"statistics_object.pkl", "statistics_objects.pkl"}) {
            String message = assertThrows(FormatException.class, () -> NumpyPickle.read(resource(name)))
                    .getMessage();
            assertTrue(message.contains(name) && message.matches("(?s).*(dnnlib.util.EasyDict|O|object).*"), message);
        }
    }

    @Test
    void aPickleThatRunsProgramsIsRefused(@TempDir Path folder) throws IOException {
        Path file = folder.resolve("bad.pkl");
        Files.write(
                file,
                "\u0080\u0002cos\nsystem\nU\u0004trueq\u0001\u0085R."
                        .getBytes(java.nio.charset.StandardCharsets.ISO_8859_1));
        String message = assertThrows(FormatException.class, () -> NumpyPickle.read(file))
                .getMessage();
        assertTrue(message.contains("os.system"), message);
    }

    @Test
    void everyDamageIsAnErrorOfTheFormat(@TempDir Path folder) throws Exception {
        byte[] whole = Files.readAllBytes(resource("statistics_p4.pkl"));
        Path file = folder.resolve("damaged.pkl");
        for (int length = 0; length < whole.length; length += 7) {
            Files.write(file, Arrays.copyOf(whole, length));
            assertThrows(FormatException.class, () -> NumpyPickle.read(file), "cut at " + length);
        }
    }
}
