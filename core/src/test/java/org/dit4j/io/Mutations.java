package org.dit4j.io;

import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Random;

/** Damages correct files in every way that random numbers find, and reads them. */
public final class Mutations {
    private static final long[] NUMBERS = {
        0,
        1,
        -1,
        127,
        128,
        255,
        256,
        32_767,
        65_535,
        Integer.MAX_VALUE,
        Integer.MIN_VALUE,
        Long.MAX_VALUE,
        Long.MIN_VALUE,
        1L << 40
    };
    private static final long SLOW_NANOS = 2_000_000_000;

    private static final ThreadMXBean THREAD = ManagementFactory.getThreadMXBean();

    private Mutations() {}

    /** Reads a file. */
    public interface Reader {
        void read(Path path) throws IOException;
    }

    /**
     * Reads the seeds, which are correct, and {@code count} damaged copies of them; each is read, or refused with a FormatException that
     * names the file, within two seconds of the processor's time.
     */
    public static void run(int count, long seed, List<byte[]> seeds, Path folder, Reader reader) throws IOException {
        Random random = new Random(seed);
        Path path = folder.resolve("mutated");
        for (byte[] file : seeds) reader.read(Files.write(path, file)); // correct, or their mutants prove little
        int refused = 0;
        for (int i = 0; i < count; i++) {
            byte[] file = mutate(seeds, random);
            Files.write(path, file);
            long start = THREAD.getCurrentThreadCpuTime();
            try {
                reader.read(path);
            } catch (FormatException e) {
                refused++;
                assertTrue(e.getMessage().startsWith(path.toString()), e.getMessage());
            } catch (IOException | RuntimeException | Error e) {
                Path kept = Files.write(Files.createTempFile("mutation-", ".bin"), file);
                throw new AssertionError("input " + i + ", kept as " + kept + ", gave " + e, e);
            }
            long nanos = THREAD.getCurrentThreadCpuTime() - start;
            assertTrue(nanos < SLOW_NANOS, "input " + i + " took " + nanos / 1_000_000 + " ms");
        }
        assertTrue(refused > count / 4, "only " + refused + " of " + count + " were refused: are these mutations?");
    }

    private static byte[] mutate(List<byte[]> seeds, Random random) {
        byte[] file = seeds.get(random.nextInt(seeds.size())).clone();
        for (int n = 1 + random.nextInt(3); n > 0 && file.length > 0; n--) file = mutateOnce(file, seeds, random);
        return file;
    }

    private static byte[] mutateOnce(byte[] file, List<byte[]> seeds, Random random) {
        int at = position(file, random);
        switch (random.nextInt(8)) {
            case 0 -> file[at] ^= (byte) (1 << random.nextInt(8));
            case 1 -> file[at] = (byte) random.nextInt();
            case 2 -> putNumber(file, at, random);
            case 3 -> {
                return Arrays.copyOf(file, at);
            }
            case 4 -> { // remove a piece
                int end = Math.min(file.length, at + 1 + random.nextInt(16));
                return join(Arrays.copyOf(file, at), Arrays.copyOfRange(file, end, file.length));
            }
            case 5 -> { // repeat a piece
                int end = Math.min(file.length, at + 1 + random.nextInt(64));
                return join(Arrays.copyOf(file, end), Arrays.copyOfRange(file, at, file.length));
            }
            case 6 -> { // overwrite with a piece of another
                byte[] other = seeds.get(random.nextInt(seeds.size()));
                int from = position(other, random);
                System.arraycopy(
                        other,
                        from,
                        file,
                        at,
                        Math.min(1 + random.nextInt(32), Math.min(other.length - from, file.length - at)));
            }
            default -> file[at] = (byte) "0123456789{}[]\":,.(etbR}su)]".charAt(random.nextInt(28));
        }
        return file;
    }

    /** Half of them near the beginning or end, where the structure is. */
    private static int position(byte[] file, Random random) {
        int range = random.nextBoolean() ? file.length : Math.min(file.length, 256);
        int at = random.nextInt(range);
        return random.nextBoolean() ? at : file.length - 1 - at;
    }

    private static void putNumber(byte[] file, int at, Random random) {
        ByteBuffer number = ByteBuffer.allocate(8).order(ByteOrder.LITTLE_ENDIAN);
        number.putLong(0, NUMBERS[random.nextInt(NUMBERS.length)]);
        System.arraycopy(number.array(), 0, file, at, Math.min(1 << random.nextInt(4), file.length - at));
    }

    private static byte[] join(byte[] first, byte[] second) {
        ByteArrayOutputStream joined = new ByteArrayOutputStream();
        joined.writeBytes(first);
        joined.writeBytes(second);
        return joined.toByteArray();
    }
}
