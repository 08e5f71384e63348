package org.dit4j.data;

import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import org.dit4j.torch.Noise;
import org.dit4j.torch.Noise.Purpose;

/**
 * The built-in data set: ten plain shapes, each in a colour, place, size and turn of its own, on a calm, dark ground. Endless, and the same to
 * the last bit on every machine: item i depends on (seed, i) only.
 *
 * <p>Of every ten consecutive items, beginning at a multiple of ten, each class has one.
 */
public final class Glyphs implements Dataset {
    private static final Glyph[] GLYPHS = Glyph.values();
    private static final List<String> CLASS_NAMES =
            Arrays.stream(GLYPHS).map(Glyph::className).toList();

    // the numbers that are drawn for an item
    private static final int CLASS = 0,
            HUE = 1,
            GROUND_HUE = 2,
            GROUND_LIGHTNESS = 3,
            RADIUS = 4,
            X = 5,
            Y = 6,
            TURN = 7;

    // hues of Oklab, in radians
    private static final double YELLOW = 1.92, BLUE = 4.7;

    private final long seed;
    private final int size;

    /** Pictures of 32 × 32 pixels. */
    public Glyphs(long seed) {
        this(seed, 32);
    }

    /**
     * Pictures of {@code size} × {@code size} pixels.
     *
     * @throws IllegalArgumentException if {@code size} is outside 8 … 1024
     */
    public Glyphs(long seed, int size) {
        if (size < 8 || size > 1024)
            throw new IllegalArgumentException("glyphs of " + size + " pixels cannot be drawn; choose 8 to 1024");
        this.seed = seed;
        this.size = size;
    }

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
        return size;
    }

    @Override
    public int width() {
        return size;
    }

    @Override
    public List<String> classNames() {
        return CLASS_NAMES;
    }

    @Override
    public String describe() {
        return String.format(
                Locale.ROOT, "glyphs: endless, %d classes, %d×%d RGB, seed %d", GLYPHS.length, size, size, seed);
    }

    /** Of size and seed: the glyphs are a function of them. */
    @Override
    public Fingerprint fingerprint() {
        return new Fingerprint(stamp(), stamp());
    }

    @Override
    public String stamp() {
        return new FingerprintInput("glyphs", this).add(seed).hex();
    }

    @Override
    public int label(long index) {
        Objects.checkIndex(index, ENDLESS);
        long ten = index / GLYPHS.length;
        int shift = (int) (uniform(CLASS, ten) * GLYPHS.length);
        return (int) (index % GLYPHS.length + shift) % GLYPHS.length;
    }

    @Override
    public void pixels(long index, float[] out, int offset) {
        Objects.checkFromIndexSize(offset, 3 * size * size, out.length);
        Glyph glyph = GLYPHS[label(index)];
        double hue = 2 * Math.PI * uniform(HUE, index);
        // yellow is brightest where it is purest, blue is darkest there
        float[] colour = rgb(0.78 + 0.08 * StrictMath.cos(hue - YELLOW), 0.17, hue);
        float[] ground =
                rgb(between(0.22, 0.32, GROUND_LIGHTNESS, index), 0.05, BLUE + between(-0.9, 0.9, GROUND_HUE, index));
        double radius = size * between(0.33, 0.41, RADIUS, index);
        double centreX = size * (0.5 + between(-0.06, 0.06, X, index)),
                centreY = size * (0.5 + between(-0.06, 0.06, Y, index));
        double turn = between(-0.25, 0.25, TURN, index);
        double cos = StrictMath.cos(turn), sin = StrictMath.sin(turn);
        int plane = size * size;
        for (int row = 0; row < size; row++) {
            for (int column = 0; column < size; column++) {
                double dx = (column + 0.5 - centreX) / radius, dy = (row + 0.5 - centreY) / radius;
                double distance = radius * glyph.distance(cos * dx + sin * dy, cos * dy - sin * dx);
                float cover = (float) Math.max(0, Math.min(1, 0.5 - distance)); // of the pixel, to first order
                int pixel = offset + row * size + column;
                for (int c = 0; c < 3; c++) {
                    float value = ground[c] + cover * (colour[c] - ground[c]);
                    out[pixel + c * plane] = Math.round(value) / 127.5f - 1;
                }
            }
        }
    }

    private double uniform(int what, long index) {
        return Noise.uniform(seed, Purpose.GLYPH, what, index);
    }

    private double between(double low, double high, int what, long index) {
        return low + (high - low) * uniform(what, index);
    }

    /**
     * Red, green and blue, 0 … 255, of a colour in Oklab (Ottosson 2020): equal lightness looks equally light in every hue, so that yellow
     * stands out from its ground as well as blue.
     *
     * @param hue in radians
     */
    private static float[] rgb(double lightness, double chroma, double hue) {
        double a = chroma * StrictMath.cos(hue), b = chroma * StrictMath.sin(hue);
        double l = cube(lightness + 0.3963377774 * a + 0.2158037573 * b);
        double m = cube(lightness - 0.1055613458 * a - 0.0638541728 * b);
        double s = cube(lightness - 0.0894841775 * a - 1.2914855480 * b);
        return new float[] {
            encoded(4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s),
            encoded(-1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s),
            encoded(-0.0041960863 * l - 0.7034186147 * m + 1.7076147010 * s)
        };
    }

    private static double cube(double x) {
        return x * x * x;
    }

    /** Linear light to sRGB, what is out of gamut clipped. */
    private static float encoded(double light) {
        double value = light <= 0.0031308 ? 12.92 * light : 1.055 * StrictMath.pow(light, 1 / 2.4) - 0.055;
        return (float) (255 * Math.max(0, Math.min(1, value)));
    }
}
