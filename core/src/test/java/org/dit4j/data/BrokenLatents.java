package org.dit4j.data;

import java.util.Arrays;
import java.util.List;

/** Noise of 3 × 8 × 8 in ten classes, of which some items are NaN. */
public record BrokenLatents(List<Long> broken) implements Dataset {
    private static final RandomLatents WHOLE = new RandomLatents(3, 8, 8, 10);

    @Override
    public long size() {
        return ENDLESS;
    }

    @Override
    public int channels() {
        return 3;
    }

    @Override
    public int height() {
        return 8;
    }

    @Override
    public int width() {
        return 8;
    }

    @Override
    public List<String> classNames() {
        return WHOLE.classNames();
    }

    @Override
    public int label(long index) {
        return WHOLE.label(index);
    }

    @Override
    public void pixels(long index, float[] out, int offset) {
        WHOLE.pixels(index, out, offset);
        if (broken.contains(index)) Arrays.fill(out, offset, offset + 192, Float.NaN);
    }

    @Override
    public String describe() {
        return "noise and NaN";
    }
}
