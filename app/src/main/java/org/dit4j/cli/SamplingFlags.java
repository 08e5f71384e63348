package org.dit4j.cli;

import java.io.PrintWriter;
import java.util.List;
import org.dit4j.ClassChoice;
import org.dit4j.DiTPipeline;
import org.dit4j.SampleRequest;
import org.dit4j.SampleRequest.Sampler;
import org.dit4j.diffusion.DiffusionConfig;
import org.dit4j.diffusion.SchedulerConfig;
import org.dit4j.diffusion.Timesteps;
import org.dit4j.io.Printable;
import org.dit4j.model.DiTConfig;
import picocli.CommandLine.Option;

/** How to draw pictures, with a finished model or with one in training. */
final class SamplingFlags {
    private static final double PUBLISHED_SCALE = 4;

    @Option(
            names = "--num-sampling-steps",
            paramLabel = "STEPS",
            description = "How many of the 1000 timesteps to visit: a number; \"ddim\" and a number for an even stride;"
                    + " or numbers for equal sections, as in 10,15,20. Default: ${DEFAULT-VALUE}.")
    private String numSamplingSteps;

    @Option(
            names = "--sampler",
            converter = Names.Samplers.class,
            completionCandidates = Names.Samplers.class,
            paramLabel = "NAME",
            description =
                    "${COMPLETION-CANDIDATES}; ddim needs fewer steps. Default: ddpm; for grids in training, ddim.")
    private Sampler given;

    private final Sampler unlessGiven;

    @Option(
            names = "--cfg-scale",
            converter = Ranges.NotNegative.class,
            paramLabel = "SCALE",
            description = "Classifier-free guidance; 1 is none. Default: 4.0, and 1 for a model without label dropout.")
    private Double cfgScale;

    SamplingFlags(String numSamplingSteps, Sampler sampler) {
        this.numSamplingSteps = numSamplingSteps;
        this.unlessGiven = sampler;
    }

    private Sampler sampler() {
        return given == null ? unlessGiven : given;
    }

    /**
     * A folder of diffusers may have a solver that is not here: then another must be asked for, and it is said which.
     *
     * @throws IllegalArgumentException if none is
     */
    void requireSampler(DiTPipeline pipeline, PrintWriter err) {
        SchedulerConfig scheduler = pipeline.scheduler();
        if (scheduler.isKnown() || !scheduler.unknown().isEmpty())
            return; // what is not understood, the pipeline refuses
        if (given == null)
            throw new IllegalArgumentException(
                    "these weights come with diffusers' " + Printable.line(scheduler.solver())
                            + ", which is not known here (known: DDIMScheduler, DDPMScheduler); name another way to draw with"
                            + " --sampler ddim or --sampler ddpm");
        err.println("dit: draws with " + Names.flag(given) + " in place of diffusers' "
                + Printable.line(scheduler.solver()) + ", obeying its diffusion: "
                + pipeline.diffusion().text());
        err.flush();
    }

    /** @throws IllegalArgumentException if guidance is asked of a model that cannot be guided */
    SampleRequest request(DiTConfig model, List<ClassChoice> classes, long seed) {
        return request(model, classes, seed, PUBLISHED_SCALE);
    }

    /** As {@link #request(DiTConfig, List, long)}, with another scale for models that can be guided, unless one was given. */
    SampleRequest request(DiTConfig model, List<ClassChoice> classes, long seed, double published) {
        double scale = scale(model, published);
        if (scale != 1 && !model.hasNullLabel())
            throw new IllegalArgumentException("--cfg-scale " + scale + ": this model has no "
                    + (model.numClasses() == 0 ? "classes" : "null label (label dropout 0)")
                    + ", so it cannot be guided; use 1");
        return SampleRequest.of(classes)
                .withSeed(seed)
                .withSteps(numSamplingSteps)
                .withSampler(sampler(), 0)
                .withGuidance(scale);
    }

    /** @throws IllegalArgumentException if a diffusion has no such steps */
    void requireSteps(DiffusionConfig diffusion) {
        Timesteps.spaced(diffusion.numTimesteps(), numSamplingSteps);
    }

    /** The scale that was given, or the default for a model. */
    double scale(DiTConfig model) {
        return scale(model, PUBLISHED_SCALE);
    }

    private double scale(DiTConfig model, double published) {
        return cfgScale != null ? cfgScale : model.hasNullLabel() ? published : 1;
    }

    /** These flags as they are typed, for another command. */
    String typed() {
        return "--num-sampling-steps " + numSamplingSteps + " --sampler " + Names.flag(sampler())
                + (cfgScale == null ? "" : " --cfg-scale " + cfgScale);
    }
}
