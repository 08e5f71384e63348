package org.dit4j;

import java.util.List;

/**
 * Which pictures to draw, and how. The defaults are those of the published script.
 *
 * @param classes one per picture, as {@link ClassNames#label} takes them; empty strings for an unconditional model
 * @param seed with the picture's place in {@code classes} it fixes the noise, and with it the picture
 * @param steps how many timesteps to visit, as {@link org.dit4j.diffusion.Timesteps#spaced} takes them: "250", "ddim50", "10,15,20"
 * @param sampler the solver
 * @param eta of DDIM: 0 is deterministic, 1 as random as DDPM
 * @param guidance scale of classifier-free guidance; 1 is none
 * @param guideAll whether every channel is guided; the published models guide the first three of four
 * @param guidedFrom guidance acts at this timestep of 1000 …
 * @param guidedTo … to this one; elsewhere there is none
 * @param torchNoise whether the noise is drawn as the reference implementations draw theirs, from LibTorch's generator for the whole request
 *     at once, to repeat their seeded runs; else a picture depends on seed and place alone
 */
public record SampleRequest(
        List<String> classes,
        long seed,
        String steps,
        Sampler sampler,
        double eta,
        double guidance,
        boolean guideAll,
        double guidedFrom,
        double guidedTo,
        boolean torchNoise) {

    /** The solvers. */
    public enum Sampler {
        /** Ancestral sampling (Ho et al. 2020), as published. */
        DDPM,
        /** Song et al. (2021), for fewer steps. */
        DDIM
    }

    public SampleRequest {
        classes = List.copyOf(classes);
        if (classes.isEmpty()) throw new IllegalArgumentException("no class is given; one for each picture");
        if (!(guidance >= 0) || Double.isInfinite(guidance))
            throw new IllegalArgumentException("guidance is " + guidance + "; 1 is none, usual are 1 to 10");
        if (!(eta >= 0 && eta <= 1)) throw new IllegalArgumentException("eta is " + eta + "; 0 to 1");
        if (!(guidedFrom <= guidedTo))
            throw new IllegalArgumentException(
                    "the guidance interval is " + guidedFrom + " to " + guidedTo + "; the smaller timestep first");
    }

    /** One picture for each class: 250 steps of DDPM, guidance 4, seed 0. */
    public static SampleRequest of(String... classes) {
        return of(List.of(classes));
    }

    /** One picture for each class: 250 steps of DDPM, guidance 4, seed 0. */
    public static SampleRequest of(List<String> classes) {
        return new SampleRequest(classes, 0, "250", Sampler.DDPM, 0, 4, false, 0, Double.MAX_VALUE, false);
    }

    public SampleRequest withSeed(long value) {
        return new SampleRequest(
                classes, value, steps, sampler, eta, guidance, guideAll, guidedFrom, guidedTo, torchNoise);
    }

    public SampleRequest withSteps(String value) {
        return new SampleRequest(
                classes, seed, value, sampler, eta, guidance, guideAll, guidedFrom, guidedTo, torchNoise);
    }

    public SampleRequest withSteps(int value) {
        return withSteps(Integer.toString(value));
    }

    /** @param value of DDIM; ignored by DDPM */
    public SampleRequest withSampler(Sampler chosen, double value) {
        return new SampleRequest(
                classes, seed, steps, chosen, value, guidance, guideAll, guidedFrom, guidedTo, torchNoise);
    }

    public SampleRequest withGuidance(double scale) {
        return new SampleRequest(classes, seed, steps, sampler, eta, scale, guideAll, guidedFrom, guidedTo, torchNoise);
    }

    /** Guidance of every channel. */
    public SampleRequest withAllChannelsGuided() {
        return new SampleRequest(classes, seed, steps, sampler, eta, guidance, true, guidedFrom, guidedTo, torchNoise);
    }

    /** Guidance only where from ≤ timestep ≤ to. */
    public SampleRequest withGuidanceWithin(double from, double to) {
        return new SampleRequest(classes, seed, steps, sampler, eta, guidance, guideAll, from, to, torchNoise);
    }

    /** Noise from LibTorch's generator, in the order of the reference implementations. */
    public SampleRequest withTorchNoise() {
        return new SampleRequest(classes, seed, steps, sampler, eta, guidance, guideAll, guidedFrom, guidedTo, true);
    }
}
