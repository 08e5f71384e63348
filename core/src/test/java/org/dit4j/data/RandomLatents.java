package org.dit4j.data;

import java.util.List;
import java.util.Optional;
import java.util.stream.IntStream;
import org.dit4j.torch.Noise;
import org.dit4j.torch.Noise.Purpose;

/** Data of any shape and number of classes: item i is noise that depends on i alone, its label is i modulo the classes. */
public record RandomLatents(int channels, int height, int width, int numClasses, Optional<LatentsHeader> latents)
        implements Dataset {
    /** Of no encoder. */
    public RandomLatents(int channels, int height, int width, int numClasses) {
        this(channels, height, width, numClasses, Optional.empty());
    }

    @Override
    public long size() {
        return ENDLESS;
    }

    @Override
    public List<String> classNames() {
        return IntStream.range(0, numClasses).mapToObj(i -> "class " + i).toList();
    }

    @Override
    public int label(long index) {
        return (int) (index % numClasses);
    }

    @Override
    public void pixels(long index, float[] out, int offset) {
        Noise.normal(1, Purpose.GLYPH, 0, index, out, offset, channels * height * width);
    }

    @Override
    public String describe() {
        return "noise";
    }
}
