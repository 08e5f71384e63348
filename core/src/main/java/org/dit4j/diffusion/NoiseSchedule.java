package org.dit4j.diffusion;

import java.util.Arrays;
import java.util.List;

/** How much noise each timestep adds: β of every timestep, by the names under which the published code knows them. */
public enum NoiseSchedule {
    /** Ho et al. (2020): evenly from 0.0001 to 0.02 over 1000 timesteps; with another number both ends scale by 1000 / T. */
    LINEAR("linear"),
    /** Nichol and Dhariwal (2021), equation 17, with β at most 0.999. Has no start and end. */
    COSINE("squaredcos_cap_v2"),
    /** √β evenly spaced; diffusers calls it {@code scaled_linear}. */
    QUAD("quad"),
    /** The end value everywhere. */
    CONST("const"),
    /** 1/T, 1/(T−1), …, 1 of Sohl-Dickstein et al. (2015). Has no start and end; the last timestep keeps no signal at all. */
    JSD("jsd"),
    /** The end value everywhere but for a linear rise from the start value over the first tenth. */
    WARMUP10("warmup10"),
    /** The end value everywhere but for a linear rise from the start value over the first half. */
    WARMUP50("warmup50");

    /** The published ends. */
    static final double BETA_START = 1e-4, BETA_END = 0.02;

    private static final double MAX_COSINE_BETA = 0.999;

    private final String published;

    NoiseSchedule(String published) {
        this.published = published;
    }

    /** The name in published code and configurations, for example {@code squaredcos_cap_v2}. */
    public String published() {
        return published;
    }

    /** Whether β has a start and an end, which can be others than the published ones. */
    public boolean hasEnds() {
        return this != COSINE && this != JSD;
    }

    /** The names that {@link #of} knows. */
    public static List<String> names() {
        return Arrays.stream(values()).map(NoiseSchedule::published).toList();
    }

    /**
     * The schedule of a published name.
     *
     * @throws IllegalArgumentException if there is none of this name
     */
    public static NoiseSchedule of(String name) {
        for (NoiseSchedule schedule : values()) if (schedule.published.equals(name)) return schedule;
        throw new IllegalArgumentException("unknown noise schedule \"" + name + "\"; known are " + names());
    }

    /**
     * β of each of {@code numTimesteps} timesteps with the published ends.
     *
     * @throws IllegalArgumentException if {@code numTimesteps} is so small that a β leaves (0, 1]
     */
    public double[] betas(int numTimesteps) {
        return betas(numTimesteps, BETA_START, BETA_END);
    }

    /**
     * β of each of {@code numTimesteps} timesteps between other ends; {@link #COSINE} and {@link #JSD} have none and ignore them.
     *
     * @throws IllegalArgumentException if a β leaves (0, 1]
     */
    public double[] betas(int numTimesteps, double start, double end) {
        if (numTimesteps < 1) throw new IllegalArgumentException("numTimesteps is " + numTimesteps + "; at least 1");
        double scale = 1000.0 / numTimesteps;
        return requireBetas(
                switch (this) {
                    case LINEAR -> linspace(scale * start, scale * end, numTimesteps);
                    case COSINE -> cosine(numTimesteps);
                    case QUAD -> squares(linspace(Math.sqrt(start), Math.sqrt(end), numTimesteps));
                    case CONST -> linspace(end, end, numTimesteps);
                    case JSD -> reciprocals(linspace(numTimesteps, 1, numTimesteps));
                    case WARMUP10 -> warmup(numTimesteps, start, end, 0.1);
                    case WARMUP50 -> warmup(numTimesteps, start, end, 0.5);
                });
    }

    /** Fails where a β is not in (0, 1], the message naming the first; else returns {@code betas}. */
    static double[] requireBetas(double[] betas) {
        for (int t = 0; t < betas.length; t++)
            if (!(betas[t] > 0 && betas[t] <= 1))
                throw new IllegalArgumentException(
                        "beta at timestep " + t + " is " + (float) betas[t] + ", outside (0, 1]: " + betas.length
                                + " timesteps are too few for this schedule, or its ends are wrong");
        return betas;
    }

    private static double[] linspace(double start, double end, int count) {
        double[] values = new double[count];
        double step = count == 1 ? 0 : (end - start) / (count - 1);
        for (int i = 0; i < count; i++) values[i] = start + i * step;
        if (count > 1) values[count - 1] = end; // i · step may miss it by an ulp, which would carry β = 1 past 1
        return values;
    }

    private static double[] squares(double[] values) {
        return Arrays.stream(values).map(v -> v * v).toArray();
    }

    private static double[] reciprocals(double[] values) {
        return Arrays.stream(values).map(v -> 1 / v).toArray();
    }

    private static double[] warmup(int numTimesteps, double start, double end, double fraction) {
        double[] betas = linspace(end, end, numTimesteps);
        double[] rise = linspace(start, end, (int) (numTimesteps * fraction));
        System.arraycopy(rise, 0, betas, 0, rise.length);
        return betas;
    }

    private static double[] cosine(int numTimesteps) {
        double[] betas = new double[numTimesteps];
        for (int t = 0; t < numTimesteps; t++) {
            double ratio = cosineAlphaCumprod((t + 1.0) / numTimesteps) / cosineAlphaCumprod((double) t / numTimesteps);
            betas[t] = Math.min(1 - ratio, MAX_COSINE_BETA);
        }
        return betas;
    }

    private static double cosineAlphaCumprod(double u) {
        double cosine = Math.cos((u + 0.008) / 1.008 * Math.PI / 2);
        return cosine * cosine;
    }
}
