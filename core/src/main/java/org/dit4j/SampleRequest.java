package org.dit4j;

import java.util.Arrays;
import java.util.Collections;
import java.util.List;

/**
 * Which pictures to draw, and how. The defaults are those of the published script.
 *
 * @param classes one per picture
 * @param seed with the picture's index it fixes the noise, and with it the picture
 * @param firstIndex the index of the first picture; the others follow. Of a set that is drawn in parts each part has its own range
 * @param steps how many timesteps to visit, as {@link org.dit4j.diffusion.Timesteps#spaced} takes them: "250", "ddim50", "10,15,20"
 * @param sampler the solver
 * @param eta of DDIM: 0 is deterministic, 1 as random as DDPM
 * @param guidance scale of classifier-free guidance; 1 is none
 * @param guideAll whether every channel is guided; the published models guide the first three of four
 * @param guidedFrom guidance acts at this timestep of 1000 …
 * @param guidedTo … to this one; elsewhere there is none
 * @param torchNoise whether the noise is drawn as the reference implementations draw theirs, from LibTorch's generator for the whole request
 *     at once, to repeat their seeded runs; else a picture depends on seed and index alone
 * @param batchSize how many pictures go through the network at once; 0 is what suits the model, {@link DiTPipeline#picturesAtOnce}
 */
public record SampleRequest(
        List<ClassChoice> classes,
        long seed,
        long firstIndex,
        String steps,
        Sampler sampler,
        double eta,
        double guidance,
        boolean guideAll,
        double guidedFrom,
        double guidedTo,
        boolean torchNoise,
        int batchSize) {

    /** The solvers. */
    public enum Sampler {
        /** Ancestral sampling (Ho et al. 2020), as published. */
        DDPM,
        /** Song et al. (2021), for fewer steps. */
        DDIM
    }

    /** @throws IllegalArgumentException naming the value that is out of range */
    public SampleRequest {
        classes = List.copyOf(classes);
        require(!classes.isEmpty(), "no class is given; one for each picture");
        require(firstIndex >= 0, "the first index is " + firstIndex + "; 0 or more");
        require(
                guidance >= 0 && !Double.isInfinite(guidance),
                "guidance is " + guidance + "; 1 is none, usual are 1 to 10");
        require(eta >= 0 && eta <= 1, "eta is " + eta + "; 0 to 1");
        require(
                guidedFrom <= guidedTo,
                "the guidance interval is " + guidedFrom + " to " + guidedTo + "; the smaller timestep first");
        require(batchSize >= 0, "batch size " + batchSize + " is negative; 0 is what suits the model");
    }

    /** One picture for each class, as {@link ClassNames#label(String)} takes them: 250 steps of DDPM, guidance 4, seed 0. */
    public static SampleRequest of(String... classes) {
        return of(Arrays.stream(classes).map(ClassChoice::of).toList());
    }

    /** One picture for each class: 250 steps of DDPM, guidance 4, seed 0. */
    public static SampleRequest of(List<? extends ClassChoice> classes) {
        return new SampleRequest(
                List.copyOf(classes), 0, 0, "250", Sampler.DDPM, 0, 4, false, 0, Double.MAX_VALUE, false, 0);
    }

    /** One picture for each label: 250 steps of DDPM, guidance 4, seed 0. */
    public static SampleRequest ofLabels(int... labels) {
        return of(Arrays.stream(labels).mapToObj(ClassChoice::of).toList());
    }

    /** So many pictures of nothing in particular: 250 steps of DDPM, no guidance, seed 0. */
    public static SampleRequest unconditional(int count) {
        return of(Collections.nCopies(count, ClassChoice.none())).withGuidance(1);
    }

    public SampleRequest withSeed(long value) {
        return new SampleRequest(
                classes,
                value,
                firstIndex,
                steps,
                sampler,
                eta,
                guidance,
                guideAll,
                guidedFrom,
                guidedTo,
                torchNoise,
                batchSize);
    }

    /** The pictures from this index of the seed on. */
    public SampleRequest withFirstIndex(long index) {
        return new SampleRequest(
                classes,
                seed,
                index,
                steps,
                sampler,
                eta,
                guidance,
                guideAll,
                guidedFrom,
                guidedTo,
                torchNoise,
                batchSize);
    }

    public SampleRequest withSteps(String value) {
        return new SampleRequest(
                classes,
                seed,
                firstIndex,
                value,
                sampler,
                eta,
                guidance,
                guideAll,
                guidedFrom,
                guidedTo,
                torchNoise,
                batchSize);
    }

    public SampleRequest withSteps(int value) {
        return withSteps(Integer.toString(value));
    }

    /** @param value of DDIM; ignored by DDPM */
    public SampleRequest withSampler(Sampler chosen, double value) {
        return new SampleRequest(
                classes,
                seed,
                firstIndex,
                steps,
                chosen,
                value,
                guidance,
                guideAll,
                guidedFrom,
                guidedTo,
                torchNoise,
                batchSize);
    }

    public SampleRequest withGuidance(double scale) {
        return new SampleRequest(
                classes,
                seed,
                firstIndex,
                steps,
                sampler,
                eta,
                scale,
                guideAll,
                guidedFrom,
                guidedTo,
                torchNoise,
                batchSize);
    }

    /** Guidance of every channel. */
    public SampleRequest withAllChannelsGuided() {
        return new SampleRequest(
                classes,
                seed,
                firstIndex,
                steps,
                sampler,
                eta,
                guidance,
                true,
                guidedFrom,
                guidedTo,
                torchNoise,
                batchSize);
    }

    /** Guidance only where from ≤ timestep ≤ to. */
    public SampleRequest withGuidanceWithin(double from, double to) {
        return new SampleRequest(
                classes, seed, firstIndex, steps, sampler, eta, guidance, guideAll, from, to, torchNoise, batchSize);
    }

    /** Noise from LibTorch's generator, in the order of the reference implementations. */
    public SampleRequest withTorchNoise() {
        return new SampleRequest(
                classes,
                seed,
                firstIndex,
                steps,
                sampler,
                eta,
                guidance,
                guideAll,
                guidedFrom,
                guidedTo,
                true,
                batchSize);
    }

    /**
     * A part of the pictures, which draws the same as the whole does of them.
     *
     * @param from the first, from 0
     */
    public SampleRequest part(int from, int count) {
        return new SampleRequest(
                classes.subList(from, from + count),
                seed,
                firstIndex + from,
                steps,
                sampler,
                eta,
                guidance,
                guideAll,
                guidedFrom,
                guidedTo,
                torchNoise,
                batchSize);
    }

    /** At most so many pictures through the network at once. */
    public SampleRequest withBatchSize(int pictures) {
        return new SampleRequest(
                classes,
                seed,
                firstIndex,
                steps,
                sampler,
                eta,
                guidance,
                guideAll,
                guidedFrom,
                guidedTo,
                torchNoise,
                pictures);
    }

    private static void require(boolean holds, String message) {
        if (!holds) throw new IllegalArgumentException(message);
    }
}
