package org.dit4j.cli;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.CancellationException;
import java.util.stream.Collectors;
import org.dit4j.ClassChoice;
import org.dit4j.DiTPipeline;
import org.dit4j.PictureDecoder;
import org.dit4j.SampleRequest;
import org.dit4j.checkpoint.CheckpointFolder;
import org.dit4j.data.Dataset;
import org.dit4j.data.LatentCache;
import org.dit4j.io.AtomicFile;
import org.dit4j.jobs.LatentEncoder;
import org.dit4j.model.DiT;
import org.dit4j.report.Board;
import org.dit4j.report.Estimate;
import org.dit4j.report.Figures;
import org.dit4j.report.FollowedFile;
import org.dit4j.report.ModelCard;
import org.dit4j.report.Numbers;
import org.dit4j.report.Progress;
import org.dit4j.report.Recipe;
import org.dit4j.report.RunSummary;
import org.dit4j.report.SampleGrid;
import org.dit4j.report.TensorBoard;
import org.dit4j.report.Terminal;
import org.dit4j.report.Words;
import org.dit4j.run.InitialState;
import org.dit4j.run.Origin;
import org.dit4j.run.RunFolder;
import org.dit4j.run.RunIdentity;
import org.dit4j.run.RunLock;
import org.dit4j.run.RunPlan;
import org.dit4j.run.Safety;
import org.dit4j.run.TrainingListener;
import org.dit4j.run.TrainingLog;
import org.dit4j.run.TrainingRun;
import org.dit4j.sample.StepListener;
import org.dit4j.torch.Backend;
import org.dit4j.torch.Precision;
import org.dit4j.train.TrainConfig;
import org.dit4j.train.Trainer;
import org.dit4j.train.Validation;
import org.dit4j.train.ValidationLosses;
import org.dit4j.vae.LatentCodec;
import org.dit4j.vae.LinearRgb;
import picocli.CommandLine.Model.CommandSpec;

/** A training run at the terminal: flags and recipe become records, then one library call, with progress, grids of samples, curves and a model card. */
final class Training implements AutoCloseable {
    private final TrainFlags flags;
    private final Settings settings;
    private final Dataset data;
    /** The data but for what is held out. */
    private final Dataset trained;

    private final Optional<DataFlags.Validated> validated;
    /** Null where the model draws pixels, or none was given. */
    private final LatentCodec codec;

    private final RunPlan plan;
    private final TrainConfig config;

    private Training(
            TrainFlags flags,
            Settings settings,
            Dataset data,
            Optional<DataFlags.Validated> validated,
            LatentCodec codec) {
        this.codec = codec;
        if (codec != null && data instanceof LatentCache latents) LatentEncoder.requireMadeBy(codec, latents.header());
        this.flags = flags;
        this.settings = settings;
        this.data = data;
        this.validated = validated;
        trained = flags.data.trained(data, flags.seed());
        plan = flags.plan(trained);
        config = plan.config();
        Trainer.requireFits(config, plan.execution(), data);
        if (flags.deterministic())
            requireRepeatable(
                    plan.execution().precision(), Backend.device(flags.device()).is_cuda());
        flags.derive(settings, plan, data);
        sampling(List.of(ClassChoice.of(0))); // refuses now what it would refuse when the first grid is due
        flags.output.sampling.requireSteps(config.diffusion());
        if (plan.cadence().sampleEvery() != 0 && codec == null && data instanceof LatentCache latents)
            requireColours(latents);
    }

    /** The fused trunk on a card takes the algorithms that were fastest when it tried them, which may be others the next time. */
    static void requireRepeatable(Precision precision, boolean onCard) {
        if (precision == Precision.BF16 && onCard)
            throw new Failure(
                    ExitCode.USAGE,
                    "--deterministic does not go with --precision bf16 on a card; take --precision autocast or fp32");
    }

    /** Completes the flags by the recipe, opens the data and checks that everything fits; trains nothing. */
    static Training prepare(CommandSpec command, TrainFlags flags, Recipe recipe) throws IOException {
        Settings settings = Settings.resolve(command, recipe);
        Failure.as(ExitCode.DEVICE, () -> Backend.device(flags.device()));
        if (flags.deterministic()) Backend.useDeterministicAlgorithms();
        List<AutoCloseable> opened = new ArrayList<>();
        try {
            Dataset data = flags.data.open(flags.seed());
            opened.add(data);
            Optional<DataFlags.Validated> validated = flags.data.validated(data, flags.seed());
            if (validated.isPresent()) opened.add(validated.get().opened());
            LatentCodec codec = flags.data.vae.isGiven() ? flags.data.vae.open() : null;
            if (codec != null) opened.add(codec);
            return new Training(flags, settings, data, validated, codec);
        } catch (RuntimeException e) {
            for (AutoCloseable one : opened) {
                try {
                    one.close();
                } catch (Exception suppressed) {
                    e.addSuppressed(suppressed);
                }
            }
            throw e;
        }
    }

    /** The resolved configuration, a recipe of the same run. */
    String describe() {
        String validation = validated
                .map(on -> "# to validate on: " + on.data().describe() + "\n")
                .orElse("");
        return "# " + trained.describe() + "\n" + validation + "# " + Words.model(config.model()) + "\n"
                + settings.toYaml();
    }

    /** What {@code --dry-run --json} says of the configuration. */
    Map<String, Object> configuration(Beginning beginning) {
        Map<String, Object> values = new LinkedHashMap<>();
        values.put("data", trained.describe());
        values.put("validation", validated.map(on -> on.data().describe()).orElse(null));
        values.put("model", Words.model(config.model()));
        values.put("parameters", config.model().parameters());
        values.put("begins", beginning.lines());
        values.put("config", settings.json());
        return values;
    }

    /** What the run will need, from a few steps that are taken and forgotten. */
    Estimate estimate(Beginning beginning) throws IOException {
        return Estimate.of(plan, trained, beginning.steps(), flags.output.resultsDir);
    }

    /** What {@code --json} says of a run that has ended. */
    Map<String, Object> result(RunFolder folder) throws IOException {
        Map<String, Object> values = new LinkedHashMap<>();
        values.put("run", folder.path().toString());
        Path checkpoint = CheckpointFolder.latest(folder.checkpoints()).orElseThrow();
        JsonNode state = CheckpointFolder.state(checkpoint);
        values.put("steps", state.path("step").asLong());
        long skipped = state.path("skippedSteps").asLong();
        if (skipped > 0) values.put("skipped_steps", skipped);
        JsonNode loss = FollowedFile.lastJson(folder.metrics()).path("loss");
        values.put("loss", loss.isNumber() ? loss.asDouble() : null);
        values.put("checkpoint", checkpoint.toString());
        values.put("sample", sampleCommand(folder));
        return values;
    }

    /** The command that samples from a run. */
    String sampleCommand(RunFolder folder) {
        return dit() + " sample --ckpt "
                + SampleCommand.quoted(folder.path()) + " " + flags.output.sampling.typed()
                + (codec == null ? "" : flags.data.vae.typed());
    }

    /** How the person calls the command. */
    private static String dit() {
        return SampleCommand.quoted(Path.of(System.getProperty("dit.command", "dit")));
    }

    /** The run that the flags mean, if it has begun. */
    private Optional<RunFolder> begun() {
        return Failure.as(ExitCode.USAGE, () -> flags.output.find(plan, trained));
    }

    /** What a run that has not begun would begin with, checked. */
    private InitialState initialState() {
        return Failure.as(ExitCode.CHECKPOINT, () -> flags.output.origin().open(config, trained));
    }

    /**
     * What a run would go on or begin with.
     *
     * @param lines for people; none for a new one from fresh weights
     * @param steps that lie behind it
     */
    record Beginning(List<String> lines, long steps) {
        String toComments() {
            return lines.stream().map(line -> "# " + line + "\n").collect(Collectors.joining());
        }
    }

    /** Looks for the run that the flags mean, and reads what describes it or, if it has not begun, its origin. */
    Beginning beginning() throws IOException {
        Optional<RunFolder> begun = begun();
        if (begun.isEmpty()) {
            InitialState state = initialState();
            return new Beginning(state.notes(), state.steps());
        }
        Optional<Path> checkpoint = CheckpointFolder.latest(begun.get().checkpoints());
        return new Beginning(
                List.of("goes on with " + checkpoint.orElse(begun.get().path())),
                checkpoint.map(RunSummary::step).orElse(0L));
    }

    /** A folder for a run that has not begun, once it is sure that it can. */
    private RunFolder create(PrintWriter err) {
        initialState();
        RunIdentity identity = Failure.as(
                ExitCode.DATA, () -> RunIdentity.of(config, plan.execution().precision(), trained));
        if (flags.output.isAutomatic())
            Failure.as(ExitCode.USAGE, () -> RunFolder.almost(flags.output.resultsDir, identity))
                    .ifPresent(almost -> err.println("a new run, " + almost));
        RunIdentity whole = Failure.as(
                ExitCode.CHECKPOINT,
                () -> identity.begunWith(flags.output.origin().identity()));
        return Failure.as(ExitCode.USAGE, () -> flags.output.create(flags.model.name(config.model()), whole));
    }

    /** Trains, or goes on with the run that the flags mean. What there is to see goes to {@code err}. */
    RunFolder run(PrintWriter err) throws IOException {
        return run(err, new TrainingListener() {});
    }

    /** As {@link #run(PrintWriter)}, and {@code another} follows the run too. */
    RunFolder run(PrintWriter err, TrainingListener another) throws IOException {
        RunLock lock = Failure.as(
                ExitCode.USAGE,
                () -> RunLock.take(flags.output.resultsDir, () -> begun().orElseGet(() -> create(err))));
        RunFolder folder = lock.folder();
        err.println(trained.describe());
        if (validated.isPresent())
            err.println("to validate on: " + validated.get().data().describe());
        else if (plan.cadence().evalEvery() > 0)
            err.println("nothing to validate on, so --eval-every does nothing; give --hold-out or --validation-path");
        err.println(Words.model(config.model()));
        Estimate.memoryWarning(plan).ifPresent(err::println);
        err.println("run folder: " + folder.path());
        err.flush();
        try (TrainingRun run = Failure.as(
                ExitCode.CHECKPOINT,
                () -> TrainingRun.open(lock, plan, trained, validated.map(on -> new Validation(on.data()))))) {
            youngAverage().ifPresent(err::println);
            run.origin().forEach(err::println);
            if (run.trainer().steps() > 0) err.println(goesOn(run.trainer().steps()));
            err.flush();
            AtomicFile.write(folder.config(), describe().getBytes(StandardCharsets.UTF_8));
            try (Progress progress = new Progress(
                            err,
                            Terminal.ofStandardError(),
                            "train",
                            plan.cadence().maxSteps());
                    Logs logs = Logs.to(progress::message);
                    Signals signals = Signals.handle(run::stop, run::save)) {
                run.measurePeak();
                follow(run, folder, progress, signals, another);
            }
            // of latents they were left out, and named, when they were encoded
            Set<String> broken = new TreeSet<>(data.brokenPictures());
            validated.ifPresent(on -> broken.addAll(on.data().brokenPictures()));
            if (data.latents().isEmpty() && !broken.isEmpty()) PictureFlags.report(List.copyOf(broken), err);
        }
        return folder;
    }

    /** Said before a run that is too short for its average. */
    private Optional<String> youngAverage() {
        long matureAfter = config.ema().matureAfter(config.globalBatchSize());
        if (plan.cadence().maxSteps() >= 2 * matureAfter) return Optional.empty();
        return Optional.of("the averaged weights (EMA " + config.ema().decay()
                + "), from which samples are drawn, are worth looking at from about step "
                + Numbers.number(matureAfter) + "; grids before that show both sets"
                + (config.ema().rampRatio() == 0 ? ", and a short run does better with --ema-ramp 0.05" : ""));
    }

    private void follow(TrainingRun run, RunFolder folder, Progress progress, Signals signals, TrainingListener another)
            throws IOException {
        Board board = new Board(folder, card(folder), progress::message);
        board.write(run.trainer());
        try (TensorBoard tensorBoard = new TensorBoard(
                folder, run.trainer().steps(), describe(), flags.output.histograms, progress::message)) {
            TrainingListener following =
                    TrainingListener.of(new Watcher(folder, progress, run), tensorBoard, board, another);
            if (run.run(following) == TrainingRun.Ending.STOPPED)
                throw signals.stopped(run.trainer().steps());
        } finally {
            board.write(run.trainer());
        }
    }

    private ModelCard card(RunFolder folder) throws IOException {
        return new ModelCard(
                folder,
                Words.model(config.model()),
                plan,
                Origin.of(folder.identity()),
                trained,
                sampling(List.of(ClassChoice.of(0))),
                sampleCommand(folder),
                Optional.ofNullable(codec == null ? null : flags.data.vae.path()),
                dit() + " train --config " + SampleCommand.quoted(folder.config()) + " --resume "
                        + SampleCommand.quoted(folder.path()));
    }

    private String goesOn(long steps) {
        if (steps < plan.cadence().maxSteps()) return "goes on after step " + steps;
        return "has its " + steps + " steps already; more with --max-steps, another run with --resume never";
    }

    /** One per label; none for an unconditional model. */
    List<String> classNames() {
        return config.model().numClasses() == 0 ? List.of() : data.classNames();
    }

    /** What the flags ask to draw, at the run's seed. */
    SampleRequest sampling(List<ClassChoice> classes) {
        return flags.output.sampling.request(config.model(), classes, config.seed());
    }

    /** Latents are decoded by the autoencoder, or else shown in the colours that were fitted when they were encoded. */
    private PictureDecoder decoder() {
        if (!(data instanceof LatentCache latents)) return PictureDecoder.PIXELS;
        if (codec != null)
            return PictureDecoder.of(codec, Backend.device(plan.execution().device()));
        return PictureDecoder.of(new LinearRgb(latents.channels(), requireColours(latents)));
    }

    private static List<Double> requireColours(LatentCache latents) {
        return latents.linearRgb()
                .orElseThrow(() -> new IllegalArgumentException("these latents have no preview colours; give the"
                        + " autoencoder for grids of samples (--vae), or --sample-every 0"));
    }

    @Override
    public void close() throws IOException {
        if (codec != null) codec.close();
        if (validated.isPresent()) validated.get().opened().close();
        data.close();
    }

    /** Shows how a run goes. */
    private final class Watcher implements TrainingListener {
        /** How long a line may stay as it is where somebody watches; to ask how it goes makes the device wait a moment. */
        private static final long LIVE_NANOS = 3_000_000_000L;

        private final RunFolder folder;
        private final Progress progress;
        private final TrainingRun run;
        private String[] figures = {};
        private long shownNanos = System.nanoTime();
        private long shownStep;

        Watcher(RunFolder folder, Progress progress, TrainingRun run) {
            this.folder = folder;
            this.progress = progress;
            this.run = run;
            shownStep = run.trainer().steps();
        }

        @Override
        public boolean onStep(Trainer trainer) {
            long now = System.nanoTime();
            if (progress.isLive() && now - shownNanos > LIVE_NANOS)
                show(run.sinceLastLog((trainer.steps() - shownStep) * 1e9 / (now - shownNanos)));
            // the last step is shown with its loss
            if (trainer.steps() < plan.cadence().maxSteps()) progress.update(trainer.steps(), figures);
            return true;
        }

        private void show(TrainingLog log) {
            figures = Figures.of(log);
            shownStep = log.step();
            shownNanos = System.nanoTime();
        }

        @Override
        public void onLog(Trainer trainer, TrainingLog log) {
            show(log);
            if (log.spike())
                progress.message(String.format(Locale.ROOT, "Loss spike at step %d: %.4f", log.step(), log.loss()));
            progress.update(log.step(), figures);
        }

        @Override
        public void onValidation(Trainer trainer, ValidationLosses losses) {
            pause((long) (losses.seconds() * 1e9));
            progress.message(
                    String.format(Locale.ROOT, "Validation loss at step %d: %.4f", losses.step(), losses.loss()));
        }

        private void pause(long nanos) {
            progress.paused(nanos);
            shownNanos += nanos;
        }

        @Override
        public void onMessage(String message) {
            progress.message(message);
        }

        @Override
        public void onSamples(Trainer trainer) throws IOException {
            long start = System.nanoTime();
            try {
                draw(trainer);
            } catch (IOException e) {
                if (plan.safety().onSaveFailure() == Safety.OnSaveFailure.STOP) throw e;
                noGrid(trainer, e);
            } catch (CancellationException e) {
                throw e;
            } catch (RuntimeException | VirtualMachineError | LinkageError e) {
                noGrid(trainer, e);
            }
            pause(System.nanoTime() - start);
        }

        private void noGrid(Trainer trainer, Throwable failure) {
            progress.message("No grid of samples at step " + trainer.steps() + ": "
                    + Failure.of(failure).getMessage().lines().findFirst().orElse(""));
        }

        private void draw(Trainer trainer) throws IOException {
            SampleGrid grid = SampleGrid.of(config.model());
            long matureAfter = config.ema().matureAfter(config.globalBatchSize());
            Path file = folder.samples(trainer.steps());
            String checkpoint = folder.path() + ", step " + trainer.steps();
            SampleRequest request = sampling(grid.classes());
            StepListener ending = step -> !run.isStopping();
            try (DiTPipeline average = pipeline(trainer.state().averagedNetwork());
                    DiTPipeline trained = pipeline(trainer.state().network())) {
                if (trainer.steps() >= matureAfter) grid.write(file, average, request, checkpoint, ending);
                else grid.writeBoth(file, average, trained, matureAfter, request, checkpoint, ending);
            }
        }

        private DiTPipeline pipeline(DiT network) {
            return DiTPipeline.of(
                    network, config.diffusion(), classNames(), plan.execution().device(), decoder());
        }
    }
}
