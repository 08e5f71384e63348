package org.dit4j.data;

import org.dit4j.torch.Noise;
import org.dit4j.torch.Noise.Purpose;

/**
 * Which item of a data set is the k-th sample of training. Samples form one stream without end: each epoch is another permutation of all
 * items, and the next begins where the last ends, in the middle of a batch if need be, so that no item is ever dropped (the published
 * training drops each epoch's last, incomplete batch). The permutation is computed, not stored: a run resumes anywhere at no cost.
 *
 * <p>Endless data sets are taken in their own order.
 *
 * @param size the items of the data set, or {@link Dataset#ENDLESS}
 */
public record EpochOrder(long size, long seed) {
    private static final int ROUNDS = 8;

    /** @throws IllegalArgumentException if there are no items, or more than 2⁴⁰ */
    public EpochOrder {
        if (size != Dataset.ENDLESS && (size < 1 || size > 1L << 40))
            throw new IllegalArgumentException("a data set of " + size + " items has no order; 1 to 2^40, or endless");
    }

    /** The order of a data set. */
    public static EpochOrder of(Dataset dataset, long seed) {
        return new EpochOrder(dataset.size(), seed);
    }

    /** The epoch, from 0 on, that a sample belongs to. */
    public long epoch(long sample) {
        requireSample(sample);
        return sample / size;
    }

    /** The item that is the sample numbered {@code sample}, from 0 on. */
    public long index(long sample) {
        requireSample(sample);
        if (size == Dataset.ENDLESS) return sample;
        long epoch = sample / size, position = sample % size;
        int halfBits = halfBits();
        // Walking along the cycle of a permutation of 0 … 4^halfBits − 1 until it comes back below size permutes 0 …
        // size − 1
        // (Black and Rogaway 2002). Fewer than four steps are needed on average.
        do position = feistel(position, epoch, halfBits);
        while (position >= size);
        return position;
    }

    private int halfBits() {
        int bits = 64 - Long.numberOfLeadingZeros(size - 1);
        return Math.max(1, (bits + 1) / 2);
    }

    /** A permutation of 0 … 4^halfBits − 1: each round exchanges the halves and adds to one a random function of the other. */
    private long feistel(long value, long epoch, int halfBits) {
        long mask = (1L << halfBits) - 1, high = value >>> halfBits, low = value & mask;
        for (int round = 0; round < ROUNDS; round++) {
            double random = Noise.uniform(seed, Purpose.DATA_ORDER, round, epoch << halfBits | low);
            long mixed = high ^ (long) (random * (mask + 1));
            high = low;
            low = mixed;
        }
        return high << halfBits | low;
    }

    private static void requireSample(long sample) {
        if (sample < 0) throw new IllegalArgumentException("sample " + sample + " is before the first, number 0");
    }
}
