package org.dit4j.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Optional;
import org.dit4j.SampleRequest.Sampler;
import org.dit4j.checkpoint.Retention;
import org.dit4j.data.Dataset;
import org.dit4j.run.Cadence;
import org.dit4j.run.Origin;
import org.dit4j.run.RunFolder;
import org.dit4j.run.RunIdentity;
import org.dit4j.run.RunPlan;
import org.dit4j.run.Safety;
import org.dit4j.run.Safety.OnSaveFailure;
import org.dit4j.torch.Precision;
import org.dit4j.train.EmaSchedule;
import org.dit4j.train.Execution;
import org.dit4j.train.LearningRate;
import org.dit4j.train.TrainConfig;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** The flags of a training run. Their defaults are the published recipe. */
final class TrainFlags {
    @Mixin(name = "Data")
    final DataFlags data = new DataFlags();

    @Mixin(name = "Model")
    final ModelFlags model = new ModelFlags();

    @Mixin(name = "Training")
    final Optimisation training = new Optimisation();

    @Mixin(name = "Output")
    final Output output = new Output();

    /** How the weights are found. */
    static final class Optimisation {
        private static final int PUBLISHED_EPOCHS = 1400;

        @Option(
                names = "--epochs",
                converter = Ranges.Count.class,
                paramLabel = "N",
                description = "Passes over the data. Default: 1400, unless --max-steps is given.")
        private Integer epochs;

        @Option(
                names = "--max-steps",
                converter = Ranges.Count.class,
                paramLabel = "N",
                description = "Optimiser steps; with --epochs too, what ends first counts.")
        private Integer maxSteps;

        @Option(
                names = "--global-batch-size",
                converter = Ranges.Count.class,
                paramLabel = "N",
                description = "Images to an optimiser step. Default: ${DEFAULT-VALUE}.")
        private int globalBatchSize = 256;

        @Option(
                names = "--micro-batch-size",
                converter = Ranges.Count.class,
                paramLabel = "N",
                description = "Images that go through the network at once; less needs less memory. A divisor of the"
                        + " batch size. Default: the batch size.")
        private Integer microBatchSize;

        @Option(
                names = "--learning-rate",
                converter = Ranges.Positive.class,
                paramLabel = "RATE",
                description = "Of AdamW. Default: 1e-4.")
        private double learningRate = 1e-4;

        @Option(
                names = "--warmup-steps",
                converter = Ranges.CountOrNone.class,
                paramLabel = "N",
                description = "Steps over which the learning rate rises to it. Default: ${DEFAULT-VALUE}.")
        private int warmupSteps;

        @Option(
                names = "--weight-decay",
                converter = Ranges.NotNegative.class,
                paramLabel = "RATE",
                description = "Of AdamW. Default: ${DEFAULT-VALUE}.")
        private double weightDecay;

        @Option(
                names = "--clip-norm",
                converter = Ranges.NotNegative.class,
                paramLabel = "NORM",
                description = "Longer gradients are scaled down to it; 0 is never. Default: ${DEFAULT-VALUE}.")
        private double clipNorm;

        @Option(
                names = "--ema-decay",
                converter = Ranges.Fraction.class,
                paramLabel = "DECAY",
                description = "Share of the averaged weights that a step keeps. Default: ${DEFAULT-VALUE}.")
        private double emaDecay = 0.9999;

        @Option(
                names = "--ema-ramp",
                converter = Ranges.Share.class,
                paramLabel = "SHARE",
                description = "The average's half-life is at most this share of the images trained so far, for short"
                        + " runs: 0.05. 0 is no such limit. Default: ${DEFAULT-VALUE}.")
        private double emaRamp;

        @Option(
                names = "--global-seed",
                paramLabel = "N",
                description = "Fixes weights, order, noise and all else that is drawn. Default: ${DEFAULT-VALUE}.")
        private long globalSeed;

        @Option(
                names = "--precision",
                converter = Names.Precisions.class,
                completionCandidates = Names.Precisions.class,
                paramLabel = "NAME",
                description =
                        "fp32; autocast: matrix products in bfloat16, over float32 weights; bf16: as autocast, by a"
                                + " trunk of our own, the fastest on a card (adaLN-Zero only). Default: fp32.")
        private Precision precision = Precision.FP32;

        @Option(
                names = "--recompute",
                description = "Compute each block again in the backward pass: less memory, a third more time.")
        private boolean recompute;

        @Option(
                names = "--device",
                completionCandidates = Names.Devices.class,
                paramLabel = "NAME",
                description = "cpu, cuda, cuda:N, or auto: the GPU if there is one. Default: ${DEFAULT-VALUE}.")
        private String device = "auto";

        @Option(
                names = "--deterministic",
                description =
                        "On CUDA too, the same command gives the same bits, stopped and continued or not; slower. Not"
                                + " with --precision bf16.")
        private boolean deterministic;

        private long maxSteps(Dataset data) {
            if (maxSteps != null && epochs == null) return maxSteps;
            if (data.size() == Dataset.ENDLESS)
                throw new IllegalArgumentException("these data are endless and have no epochs; give --max-steps"
                        + (epochs == null ? "" : " alone"));
            int passes = epochs == null ? PUBLISHED_EPOCHS : epochs;
            long steps = Math.max(1, Math.multiplyExact(passes, data.size()) / globalBatchSize);
            return maxSteps == null ? steps : Math.min(steps, maxSteps);
        }
    }

    /** What is left behind, and how often. */
    static final class Output {
        private static final Path AUTO = Path.of("auto"), NEVER = Path.of("never");

        @Option(
                names = "--results-dir",
                paramLabel = "FOLDER",
                description = "The run gets a numbered folder in it. Default: ${DEFAULT-VALUE}.")
        Path resultsDir = Path.of("results");

        @Option(
                names = "--log-every",
                converter = Ranges.Count.class,
                paramLabel = "STEPS",
                description = "Show and log the mean loss. Default: ${DEFAULT-VALUE}.")
        private int logEvery = 100;

        @Option(
                names = "--ckpt-every",
                converter = Ranges.Count.class,
                paramLabel = "STEPS",
                description = "Leave a checkpoint; the last step does too. Default: ${DEFAULT-VALUE}.")
        private int ckptEvery = 50_000;

        @Option(
                names = "--ckpt-seconds",
                converter = Ranges.CountOrNone.class,
                paramLabel = "SECONDS",
                description = "Leave a checkpoint also when the last is so old; 0 is never. Default: ${DEFAULT-VALUE}.")
        private int ckptSeconds = 1800;

        @Option(
                names = "--sample-every",
                converter = Ranges.Every.Converter.class,
                paramLabel = "STEPS",
                description = "Draw a grid from the averaged weights, by the flags below; 0 is never. auto: with a log,"
                        + " as often as grids and validation take at most 5%% of the time. Default: ${DEFAULT-VALUE}.")
        private Ranges.Every sampleEvery = Ranges.Every.AUTO;

        @Option(
                names = "--eval-every",
                converter = Ranges.Every.Converter.class,
                paramLabel = "STEPS",
                description = "Validate, where there are data for it (--hold-out, --validation-path); 0 is never; auto"
                        + " as above. Default: ${DEFAULT-VALUE}.")
        private Ranges.Every evalEvery = Ranges.Every.AUTO;

        @Option(
                names = "--histograms",
                description = "Show TensorBoard how weights, gradients and averages are spread, with every tenth log.")
        boolean histograms;

        @Option(
                names = "--resume",
                paramLabel = "WHICH",
                description =
                        "auto: go on with the newest run in the results folder that is this one, begin it if there"
                                + " is none. never: begin another. A run folder: go on with it. A training checkpoint"
                                + " of the published script (.pt): begin a run that goes on from its weights, average,"
                                + " optimiser and steps. Default: ${DEFAULT-VALUE}.")
        private Path resume = AUTO;

        @Option(
                names = "--init-from",
                paramLabel = "PATH",
                description = "Begin with trained weights, at step 0: a run folder, a diffusers folder, a .safetensors"
                        + " or .pt file, or a name as on Hugging Face's hub, in the local cache. Classes and image"
                        + " size may be others. Default: random weights.")
        private Path initFrom;

        @Option(
                names = "--keep-last",
                converter = Ranges.Count.class,
                paramLabel = "N",
                description = "Checkpoints that stay. Default: ${DEFAULT-VALUE}.")
        private int keepLast = 3;

        @Option(
                names = "--keep-every",
                converter = Ranges.CountOrNone.class,
                paramLabel = "STEPS",
                description = "Checkpoints of multiples of it stay too; 0 is none. Default: ${DEFAULT-VALUE}.")
        private int keepEvery;

        @Option(
                names = "--on-save-failure",
                converter = SaveFailures.class,
                completionCandidates = SaveFailures.class,
                paramLabel = "WHAT",
                description = "When a checkpoint or a grid cannot be written, the disk being full:"
                        + " ${COMPLETION-CANDIDATES}. The last checkpoint must be. Default: continue.")
        private OnSaveFailure onSaveFailure = OnSaveFailure.CONTINUE;

        @Option(
                names = "--max-rollbacks",
                converter = Ranges.CountOrNone.class,
                paramLabel = "N",
                description =
                        "How often to go back to the last checkpoint after ten steps in a row without finite losses"
                                + " and gradients, before giving up. Default: ${DEFAULT-VALUE}.")
        private int maxRollbacks = 3;

        /** {@code continue} and {@code stop}. */
        static final class SaveFailures extends Names<OnSaveFailure> {
            SaveFailures() {
                super(Arrays.asList(OnSaveFailure.values()), Names::flag);
            }
        }

        @Mixin
        final SamplingFlags sampling = new SamplingFlags("ddim25", Sampler.DDIM);

        Cadence cadence(long maxSteps) {
            return new Cadence(maxSteps, logEvery, ckptEvery, sampleEvery.steps(), evalEvery.steps(), ckptSeconds);
        }

        Safety safety() {
            return new Safety(
                    new Retention(keepLast, keepEvery), onSaveFailure, Safety.DEFAULT.maxSkippedInARow(), maxRollbacks);
        }

        /** What a run begins with that is not there yet. */
        Origin origin() {
            if (resume.equals(AUTO) || resume.equals(NEVER) || Files.isDirectory(resume))
                return initFrom == null ? Origin.FRESH : Origin.trainedWeights(initFrom);
            if (initFrom != null)
                throw new IllegalArgumentException("--resume " + resume + " goes on from a state of training,"
                        + " --init-from begins with weights at step 0; give one of them");
            return Origin.publishedState(resume); // which may be gone: a run that has begun does not need it
        }

        /** Whether a run that is there is gone on with where nothing else is said. */
        boolean isAutomatic() {
            return resume.equals(AUTO);
        }

        /** The run to go on with, if it is there. */
        Optional<RunFolder> find(RunPlan plan, Dataset data) throws IOException {
            if (resume.equals(NEVER)) return Optional.empty();
            if (resume.equals(AUTO) || !Files.isDirectory(resume))
                return RunFolder.find(
                        resultsDir, plan.config(), plan.execution().precision(), data, origin());
            RunFolder named = new RunFolder(resume);
            named.identity(); // refuses what is not the folder of a run
            return Optional.of(named);
        }

        /** A new run. */
        RunFolder create(String name, RunIdentity identity) throws IOException {
            return RunFolder.create(resultsDir, name, identity);
        }
    }

    long seed() {
        return training.globalSeed;
    }

    String device() {
        return training.device;
    }

    boolean deterministic() {
        return training.deterministic;
    }

    /** @throws IllegalArgumentException if the values do not fit each other, or the pictures */
    RunPlan plan(Dataset dataset) {
        TrainConfig config = new TrainConfig(
                model.config(data, dataset),
                model.diffusion(),
                training.globalSeed,
                training.globalBatchSize,
                new LearningRate(training.learningRate, training.warmupSteps),
                training.weightDecay,
                training.clipNorm,
                new EmaSchedule(training.emaDecay, training.emaRamp),
                data.flip());
        Execution execution = new Execution(
                training.device,
                training.precision,
                training.microBatchSize == null ? 0 : training.microBatchSize,
                training.recompute,
                data.numWorkers());
        return new RunPlan(config, execution, output.cadence(training.maxSteps(dataset)), output.safety());
    }

    /** Completes what the data and the other values decide. */
    void derive(Settings settings, RunPlan plan, Dataset dataset) {
        TrainConfig config = plan.config();
        data.derive(settings, dataset);
        model.derive(settings, config.model());
        settings.derive("max-steps", plan.cadence().maxSteps(), "epochs");
        settings.derive("micro-batch-size", plan.execution().microBatchSize(config), "global-batch-size");
        settings.derive("cfg-scale", output.sampling.scale(config.model()), settings.origin("cfg-scale"));
    }
}
