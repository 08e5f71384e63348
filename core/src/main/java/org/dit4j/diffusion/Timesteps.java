package org.dit4j.diffusion;

import java.util.Arrays;
import java.util.stream.IntStream;

/** Which timesteps of a long diffusion a short one visits, from the published spacing strings. */
public final class Timesteps {
    private static final String ALLOWED =
            "; use a number of steps (\"250\"), one number per equal section (\"10,15,20\"),"
                    + " \"ddim\" and a number for an even stride (\"ddim50\"), or \"\" for all";

    private Timesteps() {}

    /**
     * The timesteps to keep, rising, each in [0, numTimesteps).
     *
     * <ul>
     *   <li>{@code ""}: all
     *   <li>{@code "250"}: 250 of them, evenly spaced from the first to the last
     *   <li>{@code "10,15,20"}: 10 of the first third, 15 of the second, 20 of the last, each evenly spaced from its section's first to its
     *       last; the first sections are one longer where the number of sections does not divide
     *   <li>{@code "ddim50"}: 50 with the smallest whole stride that gives as many, from 0
     *   <li>{@code "1"}: the last alone. The published rule would keep timestep 0, and a sampler would take pure noise for an almost
     *       finished image; the published code crashes before it comes to that.
     * </ul>
     *
     * @throws IllegalArgumentException if the spacing is none of these or asks for more timesteps than there are
     */
    public static int[] spaced(int numTimesteps, String spacing) {
        if (numTimesteps < 1) throw new IllegalArgumentException("numTimesteps is " + numTimesteps + "; at least 1");
        String wanted = spacing.strip();
        if (wanted.isEmpty()) return IntStream.range(0, numTimesteps).toArray();
        if (wanted.startsWith("ddim")) return strided(numTimesteps, count(wanted.substring(4), spacing), spacing);
        int[] counts = Arrays.stream(wanted.split(",", -1))
                .mapToInt(part -> count(part, spacing))
                .toArray();
        if (counts.length == 1 && counts[0] == 1) return new int[] {numTimesteps - 1};
        return sections(numTimesteps, counts, spacing);
    }

    private static int count(String part, String spacing) {
        if (!part.strip().matches("[0-9]{1,9}") || Integer.parseInt(part.strip()) == 0)
            throw new IllegalArgumentException("timestep spacing \"" + spacing + "\" is not understood" + ALLOWED);
        return Integer.parseInt(part.strip());
    }

    private static int[] strided(int numTimesteps, int count, String spacing) {
        for (int stride = 1; stride < numTimesteps; stride++) {
            int[] timesteps = strided(numTimesteps, stride);
            if (timesteps.length == count) return timesteps;
        }
        throw new IllegalArgumentException("timestep spacing \"" + spacing + "\": no whole stride takes " + count
                + " of " + numTimesteps + " timesteps" + ALLOWED);
    }

    private static int[] strided(int numTimesteps, int stride) {
        return IntStream.iterate(0, t -> t < numTimesteps, t -> t + stride).toArray();
    }

    private static int[] sections(int numTimesteps, int[] counts, String spacing) {
        IntStream.Builder timesteps = IntStream.builder();
        int first = 0;
        for (int section = 0; section < counts.length; section++) {
            int size = numTimesteps / counts.length + (section < numTimesteps % counts.length ? 1 : 0);
            int count = counts[section];
            if (count > size)
                throw new IllegalArgumentException("timestep spacing \"" + spacing + "\" takes " + count
                        + " timesteps of a section of " + size + ": there are " + numTimesteps + " timesteps in "
                        + counts.length + (counts.length == 1 ? " section" : " sections"));
            double stride = count == 1 ? 1 : (size - 1.0) / (count - 1);
            double position = 0;
            for (int i = 0; i < count; i++) {
                // rint, not round: Python rounds halves to even, and 25 steps of 1000 would visit other timesteps
                timesteps.add(first + (int) Math.rint(position));
                position +=
                        stride; // summed, not multiplied: the published sums decide on which side of a half they fall
            }
            first += size;
        }
        return timesteps.build().toArray();
    }
}
