package org.dit4j.torch;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.dit4j.torch.Noise.Purpose;
import org.junit.jupiter.api.Test;

class NoiseTest {
    /** The known answers that the authors of Philox publish with their Random123 library. */
    @Test
    void philoxGivesThePublishedKnownAnswers() {
        int[] out = new int[4];
        Noise.philox(0, 0, 0, 0, out);
        assertArrayEquals(new int[] {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}, out);
        Noise.philox(-1, -1, -1, -1, out);
        assertArrayEquals(new int[] {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}, out);
        Noise.philox(0x299f31d0a4093822L, 0x85a308d3, 0x0370734413198a2eL, 0x243f6a88, out);
        assertArrayEquals(new int[] {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}, out);
    }

    @Test
    void normalNumbersHaveTheMomentsOfANormalDistribution() {
        int n = 400_000;
        float[] values = new float[n];
        Noise.normal(7, Purpose.TRAINING_NOISE, 0, 3, values, 0, n);
        double mean = 0, square = 0, cube = 0, fourth = 0;
        for (float v : values) {
            mean += v;
            square += (double) v * v;
            cube += Math.pow(v, 3);
            fourth += Math.pow(v, 4);
        }
        // five standard errors each: 1/√n, √2/√n, √15/√n, √96/√n
        assertEquals(0, mean / n, 5 / Math.sqrt(n));
        assertEquals(1, square / n, 5 * 1.42 / Math.sqrt(n));
        assertEquals(0, cube / n, 5 * 3.9 / Math.sqrt(n));
        assertEquals(3, fourth / n, 5 * 9.8 / Math.sqrt(n));
    }

    @Test
    void aNormalNumberIsBoxMullerOfTheWordsToTheLastFloat() {
        float[] values = new float[1000];
        Noise.normal(11, Purpose.SAMPLE_START, 0, 5, values, 0, values.length);
        int[] words = new int[4];
        for (int block = 0; block < values.length / 4; block++) {
            Noise.philox(11, Purpose.SAMPLE_START.ordinal() << 24, 5, block, words);
            for (int pair = 0; pair < 4; pair += 2) {
                double radius = Math.sqrt(-2 * Math.log(((words[pair] & 0xFFFFFFFFL) + 1) * 0x1p-32));
                double angle = 2 * Math.PI * ((words[pair + 1] & 0xFFFFFFFFL) * 0x1p-32);
                assertEquals(radius * Math.cos(angle), values[4 * block + pair], 1e-6);
                assertEquals(radius * Math.sin(angle), values[4 * block + pair + 1], 1e-6);
            }
        }
    }

    @Test
    void arowDependsOnItsIndexAlone() {
        try (TensorScope scope = new TensorScope()) {
            float[] three = Tensors.toFloats(Noise.normal(1, Purpose.SAMPLE_START, 0, new long[] {4, 9, 2}, 3, 5));
            float[] one = Tensors.toFloats(Noise.normal(1, Purpose.SAMPLE_START, 0, new long[] {9}, 3, 5));
            assertArrayEquals(one, java.util.Arrays.copyOfRange(three, 15, 30));
        }
    }

    @Test
    void purposesSubStreamsAndSeedsGiveOtherNumbers() {
        double base = Noise.uniform(1, Purpose.FLIP, 0, 0);
        assertTrue(base != Noise.uniform(1, Purpose.TIMESTEP, 0, 0));
        assertTrue(base != Noise.uniform(1, Purpose.FLIP, 1, 0));
        assertTrue(base != Noise.uniform(2, Purpose.FLIP, 0, 0));
        assertTrue(base != Noise.uniform(1, Purpose.FLIP, 0, 1));
    }

    @Test
    void wholeNumbersCoverTheirRangeEvenly() {
        int[] counts = new int[7];
        for (int i = 0; i < 70_000; i++) counts[Noise.below(7, 5, Purpose.TIMESTEP, i)]++;
        for (int count : counts) assertEquals(10_000, count, 5 * Math.sqrt(10_000));
    }
}
